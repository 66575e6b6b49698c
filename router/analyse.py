"""SQL text to `Query`: everything that can be known before an argument or a shard is seen.

Slow (about 0.7 ms) and therefore cached by text; what it depends on besides is in the key: the
schema's version, the placements, whether a tenant is in context, whether the caller is a service.
"""

from dataclasses import dataclass

from sqlglot import TokenType
from sqlglot import expressions as exp

from router.backends import Access
from router.errors import (
    FunctionRefused,
    ServiceOnly,
    StatementNotUnderstood,
    TenantRequired,
    UnsupportedAcrossShards,
)
from router.functions import HARMLESS, forbidden, functions_of
from router.parse import Parsed, parse
from router.query import (
    Either,
    GatherForm,
    Keys,
    Param,
    Query,
    Reply,
    Scope,
    Source,
    Target,
    Unbounded,
)
from router.rewrite.envelope import read_envelope, write_envelope
from router.rewrite.gather import gather_json, gather_rows, gatherable
from router.rewrite.insert import InsertKeys, check_conflict, fill_edits, insert_keys
from router.rewrite.splice import Edit, splice
from router.rewrite.tenant import predicate_edits, tenant_value
from router.rewrite.update import changed_keys
from router.schema import Kind, Schema
from router.scopes import Region, Use, folded, quoted, regions, table_uses
from router.statement import Form
from router.tables import Located, Placements, check_names, locate
from router.tenant_keys import IsKey, required_keys, scope_of
from shardmap import Global, KeyType, Reference, Sharded


@dataclass(frozen=True, slots=True)
class Caller:
    """What analysis depends on of the one who asks."""

    scoped: bool
    """A tenant is in context."""
    service: bool


@dataclass(frozen=True, slots=True)
class Setting:
    """What analysis depends on of the cluster. `version` names all of it."""

    schema: Schema
    placements: Placements
    key_type: KeyType
    version: str


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
        self.tree = self.parsed.tree
        self.regions = regions(self.parsed)
        self.tables = locate(table_uses(self.parsed), setting.schema, setting.placements)
        self.sharded = tuple(t for t in self.tables if t.tenant_column is not None)
        self.functions = functions_of(self.tree)
        self.access = self._access()
        self.target = self._target()
        self.param = _parameters(self.parsed)

    def query(self) -> Query:
        self._refuse_functions()
        self._check_permission()
        check_names(self.tables)
        keys = self._insert_keys()
        edits = self._scope_edits(keys)
        self._prove(splice(self.parsed.body, edits))
        reply = self._reply()
        gather, refusal = self._gather(edits, reply)
        read = self.access is Access.READ
        return Query(
            access=self.access,
            target=self.target,
            sql=self._enveloped(edits, reply),
            inline_position=read and reply is Reply.ENVELOPE,
            claims=self._claims(),
            scope=self._scope(keys),
            required=self._required(keys),
            changed=self._changed(),
            key_type=self.setting.key_type,
            parameters=self.param,
            scoped=bool(edits),
            inserts=isinstance(self.tree, exp.Insert),
            filtered=self._filtered(),
            gather=gather,
            gather_refusal=refusal,
            total=self.ask.counted,
            reply=reply,
        )

    # What it is

    def _access(self) -> Access:
        writes = (
            any(located.use.use is not Use.READ for located in self.tables)
            or self.tree.find(exp.Insert, exp.Update, exp.Delete, exp.Merge) is not None
            or self.tree.find(exp.Lock, exp.Into) is not None
            or bool(self._unknown_functions())
        )
        return Access.WRITE if writes else Access.READ

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

    def _unknown_functions(self) -> frozenset[str]:
        unknown = self.functions - HARMLESS
        for node in self.tree.find_all(exp.Func):
            if isinstance(node.parent, exp.Dot):  # schema-qualified: not PostgreSQL's own
                unknown |= functions_of(node)
        return frozenset(unknown)

    def _refuse_functions(self) -> None:
        for name in sorted(self.functions):
            if forbidden(name):
                raise FunctionRefused(f"the function {name} may not be called")
        if not self.caller.service:
            for name in sorted(self._unknown_functions()):
                raise FunctionRefused(
                    f"the function {name} is not known to be harmless",
                    hint="Only PostgreSQL's immutable and stable functions can be called here.",
                )
        if self.access is Access.WRITE and self.tree.find(exp.Into) is not None:
            raise StatementNotUnderstood("SELECT INTO is not routed")

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

    # Whose rows

    def _insert_keys(self) -> InsertKeys | None:
        targets = [t for t in self.sharded if t.use.use is Use.INSERT]
        if not targets:
            return None
        target = targets[0]
        root = isinstance(self.tree, exp.Insert)
        if not root or target.use.node.find_ancestor(exp.Insert) is not self.tree or targets[1:]:
            raise UnsupportedAcrossShards("an insert inside another statement")
        column = _column(target)
        check_conflict(self.tree, column)
        return insert_keys(self.tree, column, self.setting.key_type)

    def _scope_edits(self, keys: InsertKeys | None) -> tuple[Edit, ...]:
        if not (self.caller.scoped and self.sharded):
            return ()
        value = tenant_value(self.setting.key_type, self.param)
        edits = list(predicate_edits([(t.use, _column(t)) for t in self.sharded], value))
        if keys is not None and isinstance(self.tree, exp.Insert):
            target = next(t for t in self.sharded if t.use.use is Use.INSERT)
            edits.extend(fill_edits(self.parsed, target.use, _column(target), keys, value))
        return tuple(edits)

    def _prove(self, sql: str) -> None:
        """Reads the spliced text again: each sharded table must be held to the tenant in it.

        The splice works on tokens, this check on the tree: both would have to be wrong in the
        same way for a row of another tenant to be reached.
        """
        if not (self.caller.scoped and self.sharded):
            return
        again = parse(sql)
        tables = locate(table_uses(again), self.setting.schema, self.setting.placements)
        for located in tables:
            if located.tenant_column is None or located.use.use is Use.INSERT:
                continue
            is_key = _is_key(located, tables)
            if Param(self.param) not in required_keys(
                _condition(located), is_key, self.setting.key_type
            ):
                raise UnsupportedAcrossShards(f"table {located.name} where it stands")

    def _scope(self, keys: InsertKeys | None) -> Scope:
        """The tenants that all sharded tables together can concern, beside the rows of an insert."""
        scopes = [
            scope_of(_condition(located), _is_key(located, self.tables), self.setting.key_type)
            for located in self.sharded
            if located.use.use is not Use.INSERT
        ]
        if keys is not None and not scopes:
            return Keys(())
        if not scopes or any(isinstance(scope, Unbounded) for scope in scopes):
            return Unbounded()
        return scopes[0] if len(scopes) == 1 else Either(tuple(scopes))

    def _required(self, keys: InsertKeys | None) -> tuple[Source, ...]:
        """Without a tenant, an insert's are those of its rows alone: they say where it goes."""
        inserted = keys.sources if keys is not None else ()
        if keys is not None and not self.caller.scoped:
            return inserted
        return inserted + tuple(
            source
            for located in self.sharded
            if located.use.inner
            for source in required_keys(
                _condition(located), _is_key(located, self.tables), self.setting.key_type
            )
        )

    def _changed(self) -> tuple[Source, ...]:
        return tuple(
            source
            for located in self.sharded
            if located.use.use is Use.UPDATE
            for source in changed_keys(located.use.node, _column(located), self.setting.key_type)
        )

    def _filtered(self) -> bool:
        writes = self.tree.find_all(exp.Update, exp.Delete)
        return all(node.args.get("where") is not None for node in writes)

    # What it needs, and what comes back

    def _claims(self) -> bool:
        """Whether policies, triggers, defaults, views or functions may read the claims."""
        if self._unknown_functions():
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

    def _reply(self) -> Reply:
        writes = isinstance(self.tree, exp.Insert | exp.Update | exp.Delete)
        if writes and self.tree.args.get("returning") is None:
            return Reply.COMMAND
        return Reply.ENVELOPE if self.ask.form is Form.JSON else Reply.ROWS

    def _enveloped(self, edits: tuple[Edit, ...], reply: Reply) -> str:
        sql = splice(self.parsed.body, edits)
        if reply is not Reply.ENVELOPE:
            if self.ask.counted:
                raise StatementNotUnderstood("a total is counted for JSON answers of reads")
            return sql
        if self.access is Access.READ:
            return read_envelope(sql, self._counted(edits))
        if self.tree.args.get("with_") is not None:
            raise StatementNotUnderstood("WITH before a write that returns JSON")
        return write_envelope(sql)

    def _counted(self, edits: tuple[Edit, ...]) -> str | None:
        """The statement without ORDER BY, LIMIT and OFFSET, whose rows are the total."""
        if not self.ask.counted:
            return None
        last = max(
            (region for region in self.regions if region.depth == 0),
            key=lambda region: region.start,
            default=None,
        )
        if last is None or isinstance(self.tree.args.get("expression"), exp.Subquery):
            raise StatementNotUnderstood("a total of SELECT in parentheses is not counted")
        start = _tail(last)
        end = max(token.end + 1 for token in self.parsed.tokens if token.start < start)
        return splice(self.parsed.sql[:end], [edit for edit in edits if edit.end <= end])

    def _gather(
        self, edits: tuple[Edit, ...], reply: Reply
    ) -> tuple[GatherForm | None, UnsupportedAcrossShards | None]:
        if self.target is not Target.SHARDED or self.access is Access.WRITE or self.caller.scoped:
            return None, None
        try:
            form = gatherable(self.tree, self.tables)
        except UnsupportedAcrossShards as refusal:
            return None, refusal
        region = self.regions[0]
        if reply is Reply.ENVELOPE:
            source = self.tables[0].use.alias
            sql = gather_json(
                self.parsed, region, form, edits, source=source, counted=self._counted(edits)
            )
        else:
            sql = gather_rows(self.parsed, region, form, edits)
        return GatherForm(sql, form.sort, form.limit, form.offset), None


def _column(located: Located) -> str:
    if located.tenant_column is None:
        raise AssertionError("asked only of sharded tables")
    return located.tenant_column


def _is_key(located: Located, tables: tuple[Located, ...]) -> IsKey:
    """Tells the tenant column of one mention of a table from other columns."""
    column = _column(located)
    alone = sum(other.use.region is located.use.region for other in tables) == 1
    bare = alone and not _has_other_sources(located)

    def is_key(node: exp.Expr) -> bool:
        if not isinstance(node, exp.Column) or not isinstance(node.this, exp.Identifier):
            return False
        if folded(node.this) != column:
            return False
        qualifier = node.args.get("table")
        return bare if qualifier is None else quoted(folded(qualifier)) == located.use.alias

    return is_key


def _condition(located: Located) -> exp.Expr | None:
    """The WHERE of the statement part that names the table, when it filters its rows."""
    if not located.use.inner:
        return None
    owner = located.use.node.find_ancestor(exp.Select, exp.Update, exp.Delete)
    where = owner.args.get("where") if owner is not None else None
    return where.this if where is not None else None


def _has_other_sources(located: Located) -> bool:
    """Whether FROM holds anything that is no table and might have a column of that name."""
    owner = located.use.node.find_ancestor(exp.Select, exp.Update, exp.Delete)
    if owner is None:
        return True
    return bool(owner.args.get("joins") or owner.args.get("laterals")) or (
        isinstance(owner, exp.Update | exp.Delete)
        and bool(owner.args.get("from_") or owner.args.get("using"))
    )


def _tail(region: Region) -> int:
    starts = [
        region.clauses[kind].start
        for kind in (TokenType.ORDER_BY, TokenType.LIMIT, TokenType.OFFSET, TokenType.FETCH)
        if kind in region.clauses
    ]
    return min(starts, default=region.end)


def _parameters(parsed: Parsed) -> int:
    """How many arguments the statement takes: its highest `$n`."""
    highest = 0
    for node in parsed.tree.find_all(exp.Parameter):
        number = node.this
        if not isinstance(number, exp.Literal) or not str(number.this).isdecimal():
            raise StatementNotUnderstood("a parameter is not of the form $n")
        highest = max(highest, int(str(number.this)))
    return highest
