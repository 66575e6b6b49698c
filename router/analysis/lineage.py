"""Where a column comes from: which table's which column an expression certainly is.

Only what holds in every row counts. What a join could fill with NULLs, what GROUPING SETS leave
out, and names that two sources could mean have no origin.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sqlglot import expressions as exp

from router.analysis.scopes import folded, quoted, visible_cte
from router.analysis.tables import Located


class Origin(NamedTuple):
    """A column of one mention of a table."""

    located: Located
    column: str


class Output(NamedTuple):
    """One column of a query's result: its name if it is known, and its origin if it has one."""

    name: str | None
    expression: exp.Expr | None
    origin: Origin | None


class _Source(NamedTuple):
    """One item of FROM: a table, or a query with its outputs; neither: nothing is known of it."""

    alias: str | None
    located: Located | None
    query: exp.Expr | None
    names: tuple[str, ...]
    nullable: bool


class Lineage:
    """Follows columns of one statement through its sub-selects and CTEs to its tables.

    `nullable`: what a join could fill with NULLs has an origin, too.
    """

    def __init__(
        self, tables: tuple[Located, ...], *, scoped: bool, nullable: bool = False
    ) -> None:
        self._tables: Mapping[int, Located] = {id(each.use.node): each for each in tables}
        self._scoped = scoped
        self._nullable = nullable
        self._outputs: dict[int, tuple[Output, ...] | None] = {}

    def origin(self, expression: exp.Expr, owner: exp.Expr) -> Origin | None:
        """The origin of an expression that stands in the SELECT, or in the MERGE, `owner`."""
        while isinstance(expression, exp.Paren | exp.Alias):
            expression = expression.this
        if not isinstance(expression, exp.Column) or not isinstance(
            expression.this, exp.Identifier
        ):
            return None
        if expression.args.get("db") is not None or _has_grouping_sets(owner):
            return None
        name = folded(expression.this)
        qualifier = expression.args.get("table")
        sources = tuple(self._sources(owner))
        if qualifier is not None:
            alias = quoted(folded(qualifier))
            meant = [source for source in sources if source.alias == alias]
            return self._column(meant[0], name) if len(meant) == 1 else None
        if len(sources) == 1:
            return self._column(sources[0], name)
        return self._bare(sources, name, owner)

    def values(self, expression: exp.Expr, owner: exp.Expr) -> tuple[exp.Expr, ...]:
        """What a qualified column of `(VALUES …) AS x(a, b)` holds, row by row; none: it is no such."""
        if not isinstance(expression, exp.Column) or expression.args.get("table") is None:
            return ()
        if not isinstance(expression.this, exp.Identifier) or expression.args.get("db") is not None:
            return ()
        alias, name = quoted(folded(expression.args["table"])), folded(expression.this)
        meant = [source for source in self._sources(owner) if source.alias == alias]
        if len(meant) != 1 or not isinstance(meant[0].query, exp.Values) or meant[0].nullable:
            return ()
        names = meant[0].names
        if names.count(name) != 1:
            return ()
        rows = [
            row.expressions if isinstance(row, exp.Tuple) else [row]
            for row in meant[0].query.expressions
        ]
        at = names.index(name)
        if any(len(row) <= at or any(item.find(exp.Star) for item in row[:at]) for row in rows):
            return ()
        return tuple(row[at] for row in rows)

    def outputs(self, query: exp.Expr) -> tuple[Output, ...] | None:
        """The columns of a query's result in order; None: a star stands for columns not known."""
        if id(query) not in self._outputs:
            self._outputs[id(query)] = (
                None  # what a recursive CTE finds when it comes back to itself
            )
            self._outputs[id(query)] = self._found(query)
        return self._outputs[id(query)]

    def _found(self, query: exp.Expr) -> tuple[Output, ...] | None:
        match query:
            case exp.Subquery():
                return self.outputs(query.this)
            case exp.SetOperation():
                return self._united(self.outputs(query.this), self.outputs(query.expression))
            case exp.Select():
                return self._listed(query.expressions, query)
            case exp.Insert() | exp.Update() | exp.Delete():
                returning = query.args.get("returning")
                return self._listed(returning.expressions, query) if returning else None
            case _:
                return None

    def _united(
        self, left: tuple[Output, ...] | None, right: tuple[Output, ...] | None
    ) -> tuple[Output, ...] | None:
        """Of a set operation. Tenant columns are alike when a tenant is in context, only then."""
        if left is None or right is None or len(left) != len(right):
            return None
        return tuple(
            Output(
                one.name,
                None,
                one.origin
                if self._scoped and is_tenant(one.origin) and is_tenant(other.origin)
                else None,
            )
            for one, other in zip(left, right, strict=True)
        )

    def _listed(self, projections: list[exp.Expr], owner: exp.Expr) -> tuple[Output, ...] | None:
        found: list[Output] = []
        for projection in projections:
            if isinstance(projection, exp.Dot) and projection.find(exp.Star) is not None:
                return None  # (f(x)).*
            if _is_star(projection):
                qualifier = projection.args.get("table")
                expanded = self._star(owner, qualifier)
                if expanded is None:
                    return None
                found.extend(expanded)
            else:
                found.append(Output(_name(projection), projection, self.origin(projection, owner)))
        return tuple(found)

    def _star(self, owner: exp.Expr, qualifier: exp.Expr | None) -> list[Output] | None:
        joins = owner.args.get("joins") or ()
        if qualifier is None and any(join.args.get("using") or join.method for join in joins):
            return None  # shared columns stand first, and once
        alias = quoted(folded(qualifier)) if qualifier is not None else None
        found: list[Output] = []
        for source in self._sources(owner):
            if alias is not None and source.alias != alias:
                continue
            names = self._names(source)
            if names is None:
                return None
            found += [
                Output(name, None, self._column(source, name) if name else None) for name in names
            ]
        return found or None

    def _names(self, source: _Source) -> tuple[str | None, ...] | None:
        if source.located is not None:
            table = source.located.table
            return tuple(table.columns) or None if table is not None else None
        outputs = self.outputs(source.query) if source.query is not None else None
        if outputs is None:
            return None
        names = [output.name for output in outputs]
        return (*source.names, *names[len(source.names) :])

    def _column(self, source: _Source, name: str) -> Origin | None:
        if source.nullable and not self._nullable:
            return None
        if source.located is not None:
            table = source.located.table
            if source.names or (table is not None and name not in table.columns):
                return None
            return Origin(source.located, name)
        outputs = self.outputs(source.query) if source.query is not None else None
        if outputs is None:
            return self._through(source, name)
        names = self._names(source) or ()
        meant = [output for known, output in zip(names, outputs, strict=False) if known == name]
        return meant[0].origin if len(meant) == 1 else None

    def _through(self, source: _Source, name: str) -> Origin | None:
        """Of `SELECT * FROM x` over a table whose columns are not known: x's column of that name."""
        query = source.query
        if not isinstance(query, exp.Select) or source.names or len(query.expressions) != 1:
            return None
        inner = tuple(self._sources(query))
        is_all = isinstance(query.expressions[0], exp.Star)
        return self._column(inner[0], name) if is_all and len(inner) == 1 else None

    def _bare(self, sources: tuple[_Source, ...], name: str, owner: exp.Expr) -> Origin | None:
        """Of a name without a qualifier: that of the one source that has it, if all are known.

        What an inner join shares by USING is the same in both. A sharded table has its tenant
        column for certain: PostgreSQL refuses the name if another source has it, too.
        """
        certain = [
            source
            for source in sources
            if source.located is not None
            and not source.names
            and source.located.tenant_column == name
        ]
        if len(certain) == 1 and not _merges(owner):
            return self._column(certain[0], name)
        holders = []
        for source in sources:
            names = self._names(source)
            if names is None or None in names:
                return None
            if name in names:
                holders.append(source)
        if len(holders) == 2 and _shares(owner, name):
            return self._column(holders[0], name)
        return self._column(holders[0], name) if len(holders) == 1 else None

    def _sources(self, owner: exp.Expr) -> Iterator[_Source]:
        """The items of FROM, USING and joins, in order."""
        joins = owner.args.get("joins") or ()
        outer = {(join.side or "").upper() for join in joins}
        first_nullable = bool(outer & {"RIGHT", "FULL"})
        if isinstance(owner, exp.Update | exp.Delete | exp.Insert | exp.Merge):
            target = owner.this.this if isinstance(owner.this, exp.Schema) else owner.this
            yield self._source(target, nullable=False)
        from_ = owner.args.get("from_")
        using = owner.args.get("using")
        if from_ is not None:
            yield self._source(from_.this, nullable=first_nullable)
        if isinstance(owner, exp.Merge) and using is not None:
            yield self._source(using, nullable=False)
        elif isinstance(using, list):
            for item in using:
                yield self._source(item, nullable=False)
        for join in joins:
            yield self._source(join.this, nullable=first_nullable or bool(join.side))
        for lateral in owner.args.get("laterals") or ():
            yield self._source(lateral, nullable=first_nullable)

    def _source(self, item: exp.Expr, *, nullable: bool) -> _Source:
        alias = item.args.get("alias")
        name = quoted(folded(alias.this)) if alias is not None and alias.this is not None else None
        names = tuple(map(folded, alias.args.get("columns") or ())) if alias is not None else ()
        if item.args.get("joins") or item.args.get("pivots"):
            return _Source(None, None, None, (), nullable=True)
        if isinstance(item, exp.Subquery):
            return _Source(name, None, item.this, names, nullable)
        if isinstance(item, exp.Values):
            return _Source(name, None, item, names, nullable)
        if isinstance(item, exp.Lateral) and isinstance(item.this, exp.Subquery):
            return _Source(name, None, item.this.this, names, nullable)
        if not isinstance(item, exp.Table) or not isinstance(item.this, exp.Identifier):
            return _Source(name, None, None, names, nullable)
        located = self._tables.get(id(item))
        if located is not None:
            return _Source(located.use.alias, located, None, names, nullable)
        relation = folded(item.this)
        cte = visible_cte(item, relation)
        if cte is None:
            return _Source(name or quoted(relation), None, None, names, nullable)
        columns = tuple(map(folded, cte.args["alias"].args.get("columns") or ()))
        return _Source(name or quoted(relation), None, cte.this, names or columns, nullable)


def is_tenant(origin: Origin | None) -> bool:
    """Whether it is the tenant column of a sharded table."""
    return origin is not None and origin.column == origin.located.tenant_column


def _name(projection: exp.Expr) -> str | None:
    if isinstance(projection, exp.Alias):
        return folded(projection.args["alias"])
    if isinstance(projection, exp.Column) and isinstance(projection.this, exp.Identifier):
        return folded(projection.this)
    return None


def _is_star(projection: exp.Expr) -> bool:
    return isinstance(projection, exp.Star) or (
        isinstance(projection, exp.Column) and isinstance(projection.this, exp.Star)
    )


def _has_grouping_sets(owner: exp.Expr) -> bool:
    """Whether some result rows leave out columns that they are grouped by."""
    group = owner.args.get("group")
    return group is not None and any(
        isinstance(item, exp.Rollup | exp.Cube | exp.GroupingSets) for item in group.expressions
    )


def _merges(owner: exp.Expr) -> bool:
    """Whether a join makes one column of two of the same name."""
    return any(join.args.get("using") or join.method for join in owner.args.get("joins") or ())


def _shares(owner: exp.Expr, name: str) -> bool:
    """Whether the only join of a FROM shares a column of that name by USING."""
    joins = list(owner.args.get("joins") or ())
    using = joins[0].args.get("using") or () if len(joins) == 1 else ()
    return any(isinstance(item, exp.Identifier) and folded(item) == name for item in using)
