"""SQL text to `Query`: everything that can be known before an argument or a shard is seen.

Slow (about 0.3 ms) and therefore cached by text; what it depends on besides is in the key: the
schema's version, the placements, whether a tenant is in context, whether the caller is a service.
"""

from contextlib import suppress
from dataclasses import dataclass

from sqlglot import expressions as exp

from router.analysis.calls import calls_of
from router.analysis.forms import Forms
from router.analysis.functions import SAFE_MARK, judge
from router.analysis.parse import Parsed, parse
from router.analysis.placing import check_views, placed
from router.analysis.query import (
    CopyForm,
    GatherForm,
    NotTogether,
    PullUpForm,
    Query,
    Reply,
    Scope,
    Source,
    SpreadForm,
    Target,
    TotalsForm,
    names_one,
)
from router.analysis.scopes import Use, regions, table_uses
from router.analysis.scoping import Scoping, Setting
from router.analysis.tables import check_names, locate
from router.backends import Access
from router.errors import (
    FunctionRefused,
    ServiceOnly,
    StatementNotUnderstood,
    TenantRequired,
    UnsupportedAcrossShards,
)
from router.plans.together import copy_form, spread_form
from router.rewrite.splice import Edit
from router.schema import Kind
from router.statement import Form
from shardmap import Global, Reference, Sharded, unique_names


@dataclass(frozen=True, slots=True)
class Caller:
    """What analysis depends on of the one who asks."""

    scoped: bool
    """A tenant is in context."""
    service: bool
    leaving_out: bool = False
    """Rows of tenants that are not at home on a shard do not count there; without a tenant."""


@dataclass(frozen=True, slots=True)
class Ask:
    """The statement and the form of its answer, as the cache knows it."""

    sql: str
    form: Form
    counted: bool


def analyse(ask: Ask, caller: Caller, setting: Setting) -> Query:
    """The facts of a statement for one kind of caller.

    Raises:
        QueryRefused: It is not understood, or can never be answered rightly.
        AccessRefused: This kind of caller may not run it.
    """
    return _Analysis(ask, caller, setting).query()


class _Analysis:
    """One statement on its way to a Query."""

    def __init__(self, ask: Ask, caller: Caller, setting: Setting) -> None:
        self.ask = ask
        self.caller = caller
        self.setting = setting
        self.parsed: Parsed = parse(ask.sql)
        self.regions = regions(self.parsed)
        self.tables = locate(
            table_uses(self.parsed, self.regions),
            setting.schema,
            placed(setting.schema, setting.placements),
        )
        self.sharded = tuple(t for t in self.tables if t.tenant_column is not None)
        self.functions = judge(
            calls_of(self.parsed), setting.schema.functions, setting.schema.exposed
        )
        self.access = self._access()
        self.target = self._target()
        self.param = _parameters(self.parsed)

    def query(self) -> Query:
        self._refuse_functions()
        self._check_permission()
        self._check_explain()
        if not self.setting.undivided and (self.caller.scoped or not self.caller.service):
            check_views(self.tables, self.setting.schema, self.setting.placements)
        check_names(self.tables)
        scoping = Scoping(
            self.parsed,
            self.regions,
            self.tables,
            self.setting,
            scoped=self.caller.scoped,
            param=self.param,
        )
        edits = scoping.edits()
        scoping.prove(edits)
        leaving_out = self.caller.leaving_out and bool(self.sharded) and not self.caller.scoped
        if leaving_out:
            edits = scoping.home_edits()
            leaving_out = bool(edits)  # an insert names no rows that are there
        forms = Forms(
            self.parsed,
            self.regions,
            self.tables,
            edits,
            self.access,
            json=self.ask.form is Form.JSON,
            counted=self.ask.counted,
            leaving_out=leaving_out,
        )
        reply = forms.reply()
        scope, required = scoping.scope(), scoping.required()
        gather, pull_up, refusal = self._gather(forms, scope)
        return Query(
            access=self.access,
            target=self.target,
            sql=forms.single(),
            inline_position=self.access is Access.READ and reply is Reply.ENVELOPE,
            claims=self._claims(),
            scope=scope,
            required=required,
            changed=scoping.changed(),
            key_type=self.setting.key_type,
            parameters=self.param,
            scoped=bool(edits) and not leaving_out,
            leaves_out=leaving_out,
            inserts=bool(scoping.inserted),
            filtered=scoping.filtered(),
            gather=gather,
            pull_up=pull_up,
            gather_refusal=refusal,
            stream=forms.stream(),
            together=self._together(reply, required, edits),
            writes_copies=self._writes_copies(),
            unique=self._unique(),
            opaque=self.functions.opaque,
            local=self.functions.local,
            total=self.ask.counted,
            reply=reply,
        )

    def _gather(
        self, forms: Forms, scope: Scope
    ) -> tuple[GatherForm | None, PullUpForm | TotalsForm | None, UnsupportedAcrossShards | None]:
        """How several shards answer: each for itself, or one of them for all."""
        if self.target is not Target.SHARDED or self.access is Access.WRITE or self.caller.scoped:
            return None, None, None
        if names_one(scope):
            return None, None, None
        if self.parsed.explained is not None:
            return None, None, UnsupportedAcrossShards("EXPLAIN")
        if self.functions.opaque is not None:
            refusal = UnsupportedAcrossShards(
                f"the function {self.functions.opaque}, whose body is not known,"
            )
            return None, None, refusal
        with suppress(UnsupportedAcrossShards):
            return forms.several(), None, None
        if self.functions.local is not None:
            return (
                None,
                None,
                UnsupportedAcrossShards(
                    f"the function {self.functions.local}, which may read rows of its own shard,",
                    hint="Name the tenant; or declare it IMMUTABLE, if it reads its arguments only.",
                ),
            )
        try:
            return None, forms.totals() or forms.pulled_up(self.param), None
        except UnsupportedAcrossShards as refusal:
            return None, None, refusal

    def _together(
        self, reply: Reply, keys: tuple[Source, ...], edits: tuple[Edit, ...]
    ) -> SpreadForm | CopyForm | NotTogether | None:
        if self.access is Access.READ or not self.caller.service:
            return None
        if self.functions.opaque is not None:
            return NotTogether(
                f"a write that calls {self.functions.opaque}, whose body is not known,"
                " cannot run on several shards",
                "Name the tenant; or, if the function reads its arguments only, let its owner say"
                f" so with ALTER FUNCTION {self.functions.opaque} SET {SAFE_MARK} = on.",
            )
        if self.target is Target.REFERENCE or self._writes_copies():
            return copy_form(self.parsed, self.tables, reply)
        if self.target is not Target.SHARDED or self.caller.scoped:
            return None
        return spread_form(self.parsed, self.tables, keys, reply, edits)

    def _writes_copies(self) -> bool:
        return self.parsed.explained is None and any(
            isinstance(located.placement, Reference) and located.use.use is not Use.READ
            for located in self.tables
        )

    def _unique(self) -> tuple[str, ...]:
        written = {each.name: each for each in self.tables if each.use.use is not Use.READ}
        if not written:
            return ()
        return tuple(
            name
            for table, located in sorted(written.items())
            for name in unique_names(table, located.placement)
        )

    # What it is

    def _access(self) -> Access:
        """What is only explained does not run."""
        explained = self.parsed.explained is not None
        return Access.WRITE if self._writes() and not explained else Access.READ

    def _writes(self) -> bool:
        return (
            any(located.use.use is not Use.READ for located in self.tables)
            or self.parsed.nodes.have(
                exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Lock, exp.Into
            )
            or self.functions.volatile
        )

    def _target(self) -> Target:
        kinds = {type(located.placement) for located in self.tables}
        if not kinds:
            return Target.NOTHING
        if Global in kinds and len(kinds) > 1:
            raise UnsupportedAcrossShards("a join of global tables with others")
        if Global in kinds:
            return Target.GLOBAL
        if Sharded in kinds:
            return Target.SHARDED
        return Target.REFERENCE if Reference in kinds else Target.UNSHARDED

    def _refuse_functions(self) -> None:
        refused = self.functions.refused
        if refused is not None and not self.caller.service and not self.setting.undivided:
            raise FunctionRefused(
                f"the function {refused} is not known to be harmless",
                hint="Only PostgreSQL's immutable and stable functions can be called here.",
            )
        if self.access is Access.WRITE and self.parsed.nodes.have(exp.Into):
            raise StatementNotUnderstood("SELECT INTO is not routed")

    def _check_explain(self) -> None:
        """Estimates tell of other tenants' rows, and what runs for EXPLAIN ANALYZE also writes."""
        explained = self.parsed.explained
        if explained is None:
            return
        if not self.caller.service:
            raise ServiceOnly("EXPLAIN tells of other tenants' rows: it is for the service role")
        if explained.runs and self._writes():
            raise StatementNotUnderstood("EXPLAIN ANALYZE of a write is not routed")
        if self.ask.form is Form.JSON:
            raise StatementNotUnderstood("EXPLAIN gives rows, and FORMAT JSON in them, not JSON")

    def _check_permission(self) -> None:
        if self.caller.service:
            return
        if self.target is Target.GLOBAL:
            raise ServiceOnly("global tables are for the service role")
        if self.sharded and not self.caller.scoped:
            raise TenantRequired(f"table {self.sharded[0].name} needs a tenant")
        for located in self.tables:
            if isinstance(located.placement, Reference) and located.use.use is not Use.READ:
                raise ServiceOnly(f"reference table {located.name} is written by the service role")

    def _claims(self) -> bool:
        """Whether policies, triggers, defaults, views or functions may read the claims."""
        if self.functions.foreign:
            return True
        for located in self.tables:
            table = located.table
            if table is None or table.kind not in {Kind.TABLE, Kind.PARTITIONED}:
                return True
            if table.rls and not self.caller.service:
                return True
            if located.use.use is not Use.READ and table.triggered:
                return True
            if located.use.use is Use.INSERT and table.computed_defaults:
                return True
        return False


def _parameters(parsed: Parsed) -> int:
    """How many arguments the statement takes: its highest `$n`."""
    highest = 0
    for node in parsed.nodes.of(exp.Parameter):
        number = node.this
        if not isinstance(number, exp.Literal) or not str(number.this).isdecimal():
            raise StatementNotUnderstood("a parameter is not of the form $n")
        highest = max(highest, int(str(number.this)))
    return highest
