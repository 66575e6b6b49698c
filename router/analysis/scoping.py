"""Whose rows a statement may touch: the tenant's predicate and its proof, and the keys it names.

One `Scoping` is made for each statement; the analysis asks it, nobody else.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlglot import expressions as exp

from router.analysis.arms import select_regions
from router.analysis.assignments import changed_keys
from router.analysis.insert_keys import Inserted, InsertReader, all_sources
from router.analysis.key_scopes import KeyScopes
from router.analysis.lineage import Lineage
from router.analysis.merge_keys import merge_assignments, merge_inserted
from router.analysis.parse import Parsed, parse
from router.analysis.placing import placed
from router.analysis.query import Either, Keys, Param, Scope, Source, Unbounded
from router.analysis.scopes import Region, Use, regions, table_uses
from router.analysis.strangers import home_edits
from router.analysis.tables import Located, Placements, locate
from router.analysis.token_proof import proved_by_tokens
from router.analysis.whole_rows import refuse_typed_rows
from router.errors import TenantKeyMissing, UnsupportedAcrossShards
from router.rewrite.dependent import dependent_edits
from router.rewrite.insert import fill_edits
from router.rewrite.merge import merge_edits
from router.rewrite.splice import Edit, splice
from router.rewrite.tenant import predicate_edits, tenant_value
from router.schema import Schema
from shardmap import KeyType


@dataclass(frozen=True, slots=True)
class Setting:
    """What analysis depends on of the cluster. `version` names all of it."""

    schema: Schema
    placements: Placements
    key_type: KeyType
    version: str
    undivided: bool = False
    """One database has everything, and no tenant any rows of its own: PostgreSQL says who may what."""


class Scoping:
    """The sharded tables of one statement, and the tenants it can concern.

    `param` is the position of the tenant among the arguments, counted from 0.
    """

    def __init__(  # noqa: PLR0913 - the parts of one analysis
        self,
        parsed: Parsed,
        found: tuple[Region, ...],
        tables: tuple[Located, ...],
        setting: Setting,
        *,
        scoped: bool,
        param: int,
    ) -> None:
        self.parsed = parsed
        self.tree = parsed.tree
        self.regions = found
        self.tables = tables
        self.sharded = tuple(t for t in tables if t.tenant_column is not None)
        self.setting = setting
        self.scoped = scoped
        self.param = param
        self.lineage = Lineage(tables, scoped=scoped)
        self.key_scopes = KeyScopes(tables, self.lineage, setting.key_type)
        reader = InsertReader(self.lineage, setting.key_type, None)
        self.inserted = tuple(
            [
                each
                for located in self.sharded
                if located.use.use is Use.INSERT or located.use.use is Use.MERGE
                for each in self._inserts(located, self.lineage, reader)
            ]
        )

    def _inserts(
        self, located: Located, lineage: Lineage, reader: InsertReader
    ) -> Iterator[Inserted]:
        """The inserts that this mention of a table is the target of."""
        column, merge = _column(located), located.use.node.parent
        if located.use.use is Use.INSERT:
            yield reader.read(located, column)
        elif located.use.use is Use.MERGE and isinstance(merge, exp.Merge):
            yield from merge_inserted(merge, located, column, lineage, self.setting.key_type)

    def edits(self) -> tuple[Edit, ...]:
        """What holds the text's sharded tables to the tenant in context; nothing without one."""
        if not (self.scoped and self.sharded):
            return ()
        value = tenant_value(self.setting.key_type, self.param)
        edits = list(predicate_edits([(t.use, _column(t)) for t in self.sharded], value))
        outer = [t for t in self.sharded if t.use.use is Use.READ and not t.use.inner]
        for located in outer:
            refuse_typed_rows(self.tree, located)
        edits.extend(dependent_edits(self.tables, outer))
        if self.inserted and isinstance(self.tree, exp.Merge):
            use, column = self.inserted[0].located.use, _column(self.inserted[0].located)
            edits.extend(merge_edits(self.parsed, use.region, self.inserted, column, value))
        elif self.inserted:
            selects = select_regions(self.tree, self.regions)
            for each in self.inserted:
                column = _column(each.located)
                edits.extend(fill_edits(self.parsed, each, column, value, selects))
        return tuple(edits)

    def home_edits(self) -> tuple[Edit, ...]:
        """What leaves out rows of tenants that are not at home; see `strangers`."""
        edits = list(home_edits(self.tables, self.param))
        outer = [t for t in self.sharded if t.use.use is Use.READ and not t.use.inner]
        for located in outer:
            refuse_typed_rows(self.tree, located)
        edits.extend(dependent_edits(self.tables, outer))
        return tuple(edits)

    def prove(self, edits: tuple[Edit, ...]) -> None:
        """Each sharded table must be held to the tenant in the spliced text.

        Where the tokens alone do not prove it, the text is read again. The splice works on tokens,
        this check on the tree: both would have to be wrong in the same way for a row of another
        tenant to be reached.
        """
        if not (self.scoped and self.sharded):
            return
        value = tenant_value(self.setting.key_type, self.param)
        if not proved_by_tokens(self.parsed, self.sharded, self.inserted, edits, value):
            self.prove_by_reading(splice(self.parsed.body, edits))

    def prove_by_reading(self, sql: str) -> None:
        """Parse a spliced text, and find in its tree what holds each table."""
        again = parse(sql)
        tables = locate(
            table_uses(again, regions(again)),
            self.setting.schema,
            placed(self.setting.schema, self.setting.placements),
        )
        lineage = Lineage(tables, scoped=True)
        key_scopes = KeyScopes(tables, lineage, self.setting.key_type)
        reader = InsertReader(lineage, self.setting.key_type, self.param)
        checked = {Param(self.param), *self._inserted_keys()}
        for located in tables:
            if located.tenant_column is None:
                continue
            for found in self._inserts(located, lineage, reader):
                if found.index is None or not checked.issuperset(found.sources):
                    raise UnsupportedAcrossShards(f"the insert into {located.name}")
            if located.use.use is Use.INSERT:
                continue
            if Param(self.param) not in key_scopes.required(located):
                raise UnsupportedAcrossShards(f"table {located.name} where it stands")

    def scope(self) -> Scope:
        """The tenants that all sharded tables together can concern, beside the rows of an insert.

        With a tenant in context it is that tenant, whatever the statement says.
        """
        if self.scoped:
            return Unbounded()
        scopes = [
            self.key_scopes.scope(located)
            for located in self.sharded
            if located.use.use is not Use.INSERT
        ]
        if self.inserted and not scopes:
            return Keys(())
        if not scopes or any(isinstance(scope, Unbounded) for scope in scopes):
            return Unbounded()
        return scopes[0] if len(scopes) == 1 else Either(tuple(scopes))

    def required(self) -> tuple[Source, ...]:
        """Without a tenant, an insert's are those of its rows alone: they say where it goes."""
        inserted = self._inserted_keys()
        if self.inserted and not self.scoped:
            return inserted
        return inserted + tuple(
            source
            for located in self.sharded
            if located.use.inner
            for source in self.key_scopes.required(located)
        )

    def _inserted_keys(self) -> tuple[Source, ...]:
        """The keys of all inserted rows. In context, copied ones are the tenant's anyway."""
        if self.scoped:
            return tuple(source for each in self.inserted for source in each.sources)
        nested = len(self.inserted) > 1 or not isinstance(self.tree, exp.Insert)
        if nested and any(each.index is None for each in self.inserted):
            raise TenantKeyMissing("an insert inside another statement needs its tenant key")
        return tuple(
            source for each in self.inserted for source in all_sources(each, self.key_scopes.scope)
        )

    def changed(self) -> tuple[Source, ...]:
        """Values that an update gives the tenant column."""
        return tuple(
            source
            for located in self.sharded
            for source in changed_keys(
                _assignments(located), _column(located), self.setting.key_type
            )
        )

    def filtered(self) -> bool:
        """Whether every update and delete has a WHERE clause of its own."""
        writes = self.parsed.nodes.of(exp.Update, exp.Delete)
        return all(
            node.args.get("where") is not None or isinstance(node.parent, exp.When)
            for node in writes
        )


def _assignments(located: Located) -> Iterable[exp.Expr]:
    """What the statement assigns to columns of this mention of a table."""
    writer = located.use.node.parent
    if located.use.use is Use.UPDATE and isinstance(writer, exp.Update):
        return tuple(writer.expressions)
    if located.use.use is Use.MERGE and isinstance(writer, exp.Merge):
        return merge_assignments(writer)
    return ()


def _column(located: Located) -> str:
    if located.tenant_column is None:
        raise AssertionError("asked only of sharded tables")
    return located.tenant_column
