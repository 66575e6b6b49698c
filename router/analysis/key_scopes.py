"""Which tenants each mention of a table is bound to: by its own conditions, and through joins.

`o.tenant_id = i.tenant_id AND o.tenant_id = 7` binds both. What binds a table is what every row of
it that matters fulfils: WHERE and the ON of inner joins; behind LEFT JOIN its own ON; in a
sub-select also equality with a table of the query around it, whose rows are bound themselves.
"""

from collections.abc import Iterable, Iterator

from sqlglot import expressions as exp

from router.analysis.lineage import Lineage, is_tenant
from router.analysis.query import Both, Scope, Source, Unbounded
from router.analysis.scopes import Use, folded, quoted
from router.analysis.tables import Located
from router.analysis.tenant_keys import IsKey, conjuncts, required_keys, scope_of
from shardmap import KeyType

_OWNERS = (exp.Select, exp.Update, exp.Delete, exp.Merge)


class KeyScopes:
    """The sharded tables of one statement, and what binds them to tenants."""

    def __init__(self, tables: tuple[Located, ...], lineage: Lineage, key_type: KeyType) -> None:
        self._tables = tables
        self._sharded = tuple(each for each in tables if each.tenant_column is not None)
        self._lineage = lineage
        self._key_type = key_type

    def scope(self, located: Located) -> Scope:
        """The tenants that matter of one mention of a table."""
        scopes = [
            scope
            for binding in self._binding(located)
            for scope in self._own_scopes(binding)
            if not isinstance(scope, Unbounded)
        ]
        if not scopes:
            return Unbounded()
        return scopes[0] if len(scopes) == 1 else Both(tuple(scopes))

    def required(self, located: Located) -> tuple[Source, ...]:
        """The keys that every row of it must have, by WHERE of its own query alone."""
        where = self._where(located)
        return tuple(required_keys(where, self.is_key(located), self._key_type))

    def binds(self, anchor: Located, located: Located) -> bool:
        """Whether every row of a table that matters has the key of the other one."""
        return any(each is anchor for each in self._binding(located))

    def is_key(self, located: Located) -> IsKey:
        """Tells the tenant column of one mention of a table from other columns."""
        column = located.tenant_column
        owner = _owner(located)

        def is_key(node: exp.Expr) -> bool:
            if not isinstance(node, exp.Column) or not isinstance(node.this, exp.Identifier):
                return False
            if folded(node.this) != column:
                return False
            qualifier = node.args.get("table")
            if qualifier is not None:
                return quoted(folded(qualifier)) == located.use.alias
            if owner is None or not located.use.inner:
                return False
            origin = self._lineage.origin(node, owner)
            if origin is not None and is_tenant(origin) and origin.located is located:
                return True
            return _merged(owner, column)

        return is_key

    def _own_scopes(self, located: Located) -> Iterator[Scope]:
        is_key = self.is_key(located)
        for condition in self._conditions(located):
            yield scope_of(condition, is_key, self._key_type)

    def _binding(self, located: Located) -> tuple[Located, ...]:
        """The table itself, and those whose key it shares."""
        found = [located]
        for each in found:
            found += [other for other in self._equals(each) if other not in found]
        return tuple(found)

    def _equals(self, located: Located) -> Iterator[Located]:
        """Tables whose tenant column every row of this one equals."""
        is_key = self.is_key(located)
        for condition in self._conditions(located):
            for part in conjuncts(condition):
                if not isinstance(part, exp.EQ | exp.NullSafeEQ):
                    continue
                for one, other in ((part.this, part.expression), (part.expression, part.this)):
                    if is_key(one) and (meant := self._meant(other, located)) is not None:
                        yield meant
        yield from self._shared(located)

    def _meant(self, node: exp.Expr, located: Located) -> Located | None:
        """The table whose tenant column this is: in this query or, qualified, in one around it."""
        if not isinstance(node, exp.Column) or not isinstance(node.this, exp.Identifier):
            return None
        if node.args.get("db") is not None:
            return None
        owner = _owner(located)
        if node.args.get("table") is None:
            return None if owner is None else self._named_alone(node, owner)
        alias = quoted(folded(node.args["table"]))
        while owner is not None:
            if alias in _aliases(owner):
                found = [
                    each
                    for each in self._sharded
                    if each.use.alias == alias
                    and each.use.use is not Use.INSERT
                    and _owner(each) is owner
                    and each.tenant_column == folded(node.this)
                ]
                return found[0] if len(found) == 1 else None
            owner = owner.find_ancestor(*_OWNERS)
        return None

    def _named_alone(self, node: exp.Column, owner: exp.Expr) -> Located | None:
        """The same of a column without a table's name, which only one table of the query has."""
        origin = self._lineage.origin(node, owner)
        if origin is None or not is_tenant(origin) or origin.located.use.use is Use.INSERT:
            return None
        meant = origin.located
        return meant if meant.use.inner and _owner(meant) is owner else None

    def _shared(self, located: Located) -> Iterator[Located]:
        """Tables that share their tenant column with this one by USING."""
        owner, join = _owner(located), located.use.node.parent
        if not isinstance(owner, exp.Select) or not _is_plain(owner):
            return
        if not isinstance(join, exp.From | exp.Join) or join.parent is not owner:
            return
        for other in self._sharded:
            if other is located or _owner(other) is not owner or not other.use.inner:
                continue
            column = located.tenant_column
            if column is None or other.tenant_column != column:
                continue
            joins = [each for each in (join, other.use.node.parent) if isinstance(each, exp.Join)]
            if joins and all(_uses(each, column) for each in joins):
                yield other

    def _conditions(self, located: Located) -> tuple[exp.Expr, ...]:
        """What every row of the table that matters fulfils."""
        owner, join = _owner(located), located.use.node.parent
        where = self._where(located)
        found = [where] if where is not None else []
        if not isinstance(owner, exp.Select) or not _is_plain(owner):
            return tuple(found)
        if located.use.inner:
            joins: Iterable[exp.Join] = owner.args.get("joins") or ()
            found += [each.args["on"] for each in joins if not each.side and each.args.get("on")]
        elif isinstance(join, exp.Join) and join.args.get("on") and join.parent is owner:
            found.append(join.args["on"])
        return tuple(found)

    def _where(self, located: Located) -> exp.Expr | None:
        """The WHERE of the statement part that names the table, when it filters its rows."""
        return condition(located)


def condition(located: Located) -> exp.Expr | None:
    """The WHERE that filters the rows of a table, or the ON of its MERGE; None: there is none."""
    owner = _owner(located)
    if not located.use.inner or owner is None:
        return None
    if isinstance(owner, exp.Merge):
        on = owner.args.get("on")
        return on if isinstance(on, exp.Expr) else None
    where = owner.args.get("where")
    return where.this if where is not None else None


def _owner(located: Located) -> exp.Expr | None:
    return located.use.node.find_ancestor(*_OWNERS)


def _is_plain(owner: exp.Select) -> bool:
    """Whether all its joins are inner ones, or to the left."""
    return all(
        not join.method and (join.side or "").upper() in {"", "LEFT"}
        for join in owner.args.get("joins") or ()
    )


def _uses(join: exp.Join, column: str) -> bool:
    return any(
        isinstance(name, exp.Identifier) and folded(name) == column
        for name in join.args.get("using") or ()
    )


def _merged(owner: exp.Expr, column: str | None) -> bool:
    """Whether a bare name is the column that all tables of the FROM share by USING."""
    joins = owner.args.get("joins") or ()
    return (
        isinstance(owner, exp.Select)
        and column is not None
        and bool(joins)
        and _is_plain(owner)
        and all(_uses(join, column) for join in joins)
    )


def _aliases(owner: exp.Expr) -> frozenset[str]:
    """The names that the items of a FROM have."""
    items = [join.this for join in owner.args.get("joins") or ()]
    items += owner.args.get("laterals") or ()
    if owner.args.get("from_") is not None:
        items.append(owner.args["from_"].this)
    if isinstance(owner, exp.Update | exp.Delete | exp.Merge):
        items.append(owner.this)
    using = owner.args.get("using")
    if isinstance(using, exp.Expr):
        items.append(using)
    elif isinstance(using, list):
        items += using
    return frozenset(quoted(name) for item in items if (name := _alias_of(item)) is not None)


def _alias_of(item: exp.Expr) -> str | None:
    alias = item.args.get("alias")
    if alias is not None and alias.this is not None:
        return folded(alias.this)
    return folded(item.this) if isinstance(item.this, exp.Identifier) else None
