"""What stands in FROM and in sub-queries: tables, joins, lateral and derived ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .aggregates import Aggregates
from .columns import Column, Expr, Scope, Source
from .tenancy import Mode
from .tree import Part, Piece, Seq, optional, piece, render


@dataclass(frozen=True, slots=True)
class Select:
    """A SELECT with its outputs. `key`: outputs that tell its rows apart."""

    part: Part
    outputs: tuple[Column, ...]
    key: tuple[str, ...] | None
    tenant: bool = False
    """One of the outputs is the tenant column, under its own name."""


@dataclass(frozen=True, slots=True)
class From:
    """A FROM clause: its text, what it brings into scope, and what WHERE has to say of tenants."""

    part: Part
    scope: Scope
    conditions: tuple[Part, ...]

    @property
    def key(self) -> list[tuple[Source, str]] | None:
        """Columns that tell the rows apart."""
        found: list[tuple[Source, str]] = []
        for source in self.scope:
            if source.key is None:
                return None
            found.extend((source, name) for name in source.key)
        return found


class Sources(Aggregates):
    """Makes FROM clauses and conditions with sub-queries."""

    def select(self, outer: Scope, depth: int, *, named: bool = False, top: bool = False) -> Select:
        """A SELECT for FROM."""
        raise NotImplementedError

    def source(self, outer: Scope, depth: int) -> tuple[Part, Source]:
        """A table, or a sub-query under a name."""
        if depth > 0 and self.chance(0.06):
            inner = self.select((), depth - 1, named=True)
            alias = next(self.names)
            return piece("(", inner.part, f") AS {alias}"), self._as_source(inner, alias)
        if self.chance(0.02):
            return "(VALUES (1, 'a'), (2, 'b'), (3, NULL)) AS v(id, label)", Source(
                "v", (Column("id", "int"), Column("label", "text")), ("id",)
            )
        return self.table(self.any_table())

    def _as_source(self, inner: Select, alias: str) -> Source:
        return Source(alias, inner.outputs, inner.key, None, inner.tenant)

    def from_(self, outer: Scope, depth: int, joins: int) -> From:
        part, first = self.source(outer, depth)
        used = {source.alias for source in outer}
        while first.alias in used:
            part, first = self.table(first.table or "orders", next(self.names))
        used.add(first.alias)
        scope: list[Source] = [first]
        parts: list[Part] = [part]
        linked = next((source for source in reversed(outer) if source.tenant), None)
        conditions = list(self.tenancy(first, linked))
        for _ in range(joins):
            more = self._join(scope, used, depth)
            if more is not None:
                text, source, where = more
                listed = any(render(each).sql.startswith(", ") for each in parts[1:])
                if listed and not render(text).sql.startswith(", "):
                    continue  # what stands before a comma is not in a later join's scope
                parts.append(text)
                scope.append(source)
                used.add(source.alias)
                conditions.extend(where)
        self.bare = False
        return From(Piece(tuple(parts)), tuple(scope), tuple(conditions))

    def _partner(self, scope: list[Source]) -> tuple[str, list[tuple[str, str]], Source] | None:
        """A table that is joined by columns, as (its column, the other's)."""
        links = {
            "accounts": [("orders", "account_id", "id"), ("events", "id", "id"), ("accounts", "id", "parent_id"),
                         ("plans", "name", "plan")],
            "orders": [("items", "order_id", "id"), ("items", "order_id", "id"), ("accounts", "id", "account_id"),
                       ("countries", "code", "country"), ("events", "id", "id"), ("orders", "id", "id")],
            "items": [("orders", "id", "order_id"), ("events", "id", "line"), ("items", "line", "qty")],
            "events": [("accounts", "id", "id"), ("logs", "level", "from"), ("orders", "id", "from")],
            "logs": [("events", "id", "level"), ("accounts", "id", "level")],
            "countries": [("orders", "country", "code")],
            "plans": [("accounts", "plan", "name")],
        }  # fmt: skip
        known = [source for source in scope if source.table in links]
        if not known:
            return None
        other = self.random.choice(known)
        name, own, theirs = self.random.choice(links[other.table or ""])
        return name, [(own, theirs)], other

    def _join(
        self, scope: list[Source], used: set[str], depth: int
    ) -> tuple[Part, Source, list[Part]] | None:
        if self.chance(0.1):
            return self._lateral(scope, used, depth)
        found = self._partner(scope)
        if found is None:
            return None
        name, pairs, other = found
        part, source = self.table(name)
        while source.alias in used:
            part, source = self.table(name, next(self.names))
        linked = other if source.tenant and other.tenant else None
        side = self.random.choices(
            ["JOIN", "INNER JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", ","],
            [8, 3, 6, 1, 1, 1, 2],
        )[0]
        on: list[Part] = [
            piece(self.ref(source, own), " = ", self.ref(other, theirs)) for own, theirs in pairs
        ]
        tenants = list(self.tenancy(source, linked))
        if linked is None and source.tenant:
            linked_any = next((each for each in scope if each.tenant), None)
            if linked_any is not None and self.mode is not Mode.TENANT:
                tenants = list(self.tenancy(source, linked_any))
        if side == ",":
            return piece(", ", part), source, [*on, *tenants]
        if side == "CROSS JOIN":
            return piece(" CROSS JOIN ", part), source, [*tenants, *on]
        if (
            linked is not None
            and self.chance(0.12)
            and all(own == theirs for own, theirs in pairs)
            and len(scope) == 1
        ):
            return self._using(side, part, source, pairs)
        if side == "FULL JOIN":  # only equalities can be full-joined
            words = (
                [piece(self.ref(source, "tenant_id"), " = ", self.ref(other, "tenant_id"))]
                if linked
                else []
            )
            where = list(tenants) if self.mode is Mode.KEYED else []
            return piece(" FULL JOIN ", part, " ON ", Seq((*on, *words), " AND ")), source, where
        if self.chance(0.15):
            on.append(self.condition((other, source), 1))
        if self.mode is Mode.KEYED and self.chance(0.3) and side in {"JOIN", "INNER JOIN"}:
            return piece(f" {side} ", part, " ON ", Seq(tuple(on), " AND ")), source, tenants
        return piece(f" {side} ", part, " ON ", Seq((*on, *tenants), " AND ")), source, []

    def _using(
        self, side: str, part: Part, source: Source, pairs
    ) -> tuple[Part, Source, list[Part]]:
        if pairs == [("id", "id")] and self.chance(0.3):
            return piece(f" NATURAL {side} ", part), source, []
        names = ", ".join(["tenant_id", *(own for own, _ in pairs)])
        return piece(f" {side} ", part, f" USING ({names})"), source, []

    def _lateral(
        self, scope: list[Source], used: set[str], depth: int
    ) -> tuple[Part, Source, list[Part]] | None:
        alias = next(self.names)
        arrays = [(s, c) for s in scope for c in s.columns if c.kind in {"ints", "texts"}]
        if arrays and self.chance(0.5):
            source, column = self.random.choice(arrays)
            kind = "int" if column.kind == "ints" else "text"
            words = ", " if self.chance(0.5) else " CROSS JOIN LATERAL "
            text = (
                f"{words}unnest({self.ref(source, column)}) WITH ORDINALITY AS {alias}(value, at)"
            )
            return text, Source(alias, (Column("value", kind), Column("at", "big")), ("at",)), []
        if self.chance(0.2):
            return (
                f" CROSS JOIN generate_series(1, 2) AS {alias}(n)",
                Source(alias, (Column("n", "int"),), ("n",)),
                [],
            )
        inner = self._lateral_select(tuple(scope))
        word = self.one_of(" LEFT JOIN LATERAL (", " CROSS JOIN LATERAL (", ", LATERAL (")
        tail = f") AS {alias}" + (" ON true" if word.startswith(" LEFT") else "")
        return piece(word, inner.part, tail), self._as_source(inner, alias), []

    def _lateral_select(self, scope: Scope) -> Select:
        """Rows or aggregates of a table, for each row of what stands before it."""
        part, source, conditions = self._linked(scope)
        where = self._inner_where(source, conditions)
        name = next(self.names)
        if source.key is None or self.chance(0.4):
            made = self.aggregate((source,))
            output = Column(name, made.kind, made.plain)
            return Select(
                piece("SELECT ", made.part, f" AS {name} FROM ", part, where), (output,), ()
            )
        found = self._column((source,), ("text", "int"))
        key = tuple(next(self.names) for _ in source.key)
        keys = ", ".join(
            f"{self.ref(source, own)} AS {new}" for own, new in zip(source.key, key, strict=True)
        )
        order = ", ".join(self.ref(source, own) for own in source.key)
        tail = optional(f" ORDER BY {order} LIMIT 2") if self.chance(0.6) else ""
        columns = (Column(name, found.kind), *(Column(new, "int") for new in key))
        text = piece("SELECT ", found.part, f" AS {name}, {keys} FROM ", part, where, tail)
        return Select(text, columns, key)

    def condition(self, scope: Scope, depth: int) -> Part:
        lost = self.bare and self.mode is Mode.ACROSS and self.chance(0.8)
        if depth >= 2 and scope and not lost and self.chance(0.10):
            return self._subquery(scope, depth - 2)
        return super().condition(scope, depth)

    def _linked(self, scope: Scope) -> tuple[Part, Source, tuple[Part, ...]]:
        """A table of a sub-query, correlated or not, with its conditions."""
        bare, self.bare = self.bare, False
        found = self._partner(list(scope)) if self.chance(0.7) and not bare else None
        if found is None:
            part, source = self.table(self.sharded(), next(self.names))
            linked = next((each for each in scope if each.tenant), None)
            conditions = self.tenancy(source, None if bare else linked)
        else:
            name, pairs, other = found
            part, source = self.table(name, next(self.names))
            links = [
                piece(self.ref(source, own), " = ", self.ref(other, theirs))
                for own, theirs in pairs
            ]
            linked = other if other.tenant else next((each for each in scope if each.tenant), None)
            conditions = (*links, *self.tenancy(source, linked))
        self.bare = bare
        return part, source, conditions

    def _inner_where(self, source: Source, conditions: tuple[Part, ...]) -> Part:
        bare, self.bare = self.bare, False
        more = (super().condition((source,), 0),) if self.chance(0.5) else ()
        self.bare = bare
        if not (conditions or more):
            return ""
        return piece(" WHERE ", Seq((*conditions, *more), " AND "))

    def _subquery(self, scope: Scope, depth: int) -> Part:
        part, source, conditions = self._linked(scope)
        where = self._inner_where(source, conditions)
        if self.chance(0.5):
            word = self.one_of("EXISTS", "EXISTS", "NOT EXISTS")
            return piece(f"{word} (SELECT {self.one_of('1', '*', '')} FROM ", part, where, ")")
        bare, self.bare = self.bare, False
        kind = self.one_of("int", "text") if source.table != "logs" else "int"
        inner = self.column((source,), kind)
        self.bare = bare
        outer = self.column(scope, kind)
        if inner is None or outer is None:
            return piece("EXISTS (SELECT 1 FROM ", part, where, ")")
        word = self.one_of(" IN (", " IN (", " NOT IN (", " = ANY (", " > ALL (", " = SOME (")
        return piece(outer.part, word, "SELECT ", inner.part, " FROM ", part, where, ")")

    def array_of(self, scope: Scope) -> Expr:
        """ARRAY(…) of a column in an order of its own."""
        part, source, conditions = self._linked(scope)
        where = self._inner_where(source, conditions)
        bare, self.bare = self.bare, False
        found = self._column((source,), ("text", "int"))
        self.bare = bare
        order = piece(" ORDER BY ", found.part, self.one_of("", " DESC"))
        return Expr(piece("ARRAY(SELECT ", found.part, " FROM ", part, where, order, ")"), "other")

    def scalar(self, scope: Scope) -> Expr:
        """A sub-query that gives one value."""
        part, source, conditions = self._linked(scope)
        where = self._inner_where(source, conditions)
        bare, self.bare = self.bare, False
        made = self.aggregate((source,))
        self.bare = bare
        return replace(made, part=piece("(SELECT ", made.part, " FROM ", part, where, ")"))
