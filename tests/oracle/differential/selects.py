"""SELECT statements as applications send them: most of them simple, each with one right answer.

LIMIT, array_agg, row_number and their like stand only where the order is total. Equal values that
are spelled in several ways (1.5 and 1.50) are not grouped, made distinct or compared by sets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from .expressions import (
    COLLATIONS,
    REFERENCE,
    SORTABLE,
    TABLES,
    Column,
    Expr,
    Expressions,
    Scope,
    Source,
    name_of,
)
from .tree import Part, Piece, Seq, Value, optional, piece


class Mode(Enum):
    """For whom a statement is."""

    TENANT = "tenant"
    """For a tenant in context; its text says nothing of tenants, most often."""
    KEYED = "keyed"
    """For the service role; its text names one tenant."""
    ACROSS = "across"
    """For the service role; about all tenants or several."""


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


def _ordered(*, top: bool) -> dict[str, tuple[str, ...]]:
    """The mark of an order that the whole answer has."""
    return {"ordered": ()} if top else {}


class Selects(Expressions):
    """Makes SELECT statements for one mode and tenant."""

    def __init__(self, random, *, mode: Mode, tenant: int, attack: bool = False) -> None:
        super().__init__(random, bound=random.random() < 0.5)
        self.mode = mode
        self.tenant = tenant
        self.attack = attack
        self.names = iter(f"x{number}" for number in range(1, 1000))
        self.keys: tuple[int, ...] = (tenant,)

    # Tenants

    def tenant_is(self, column: str) -> Part:
        """That a column is this statement's tenant."""
        key = str(self.tenant)
        value = Value(key, self.tenant, "", self.bound and self.chance(0.7))
        match self.random.randrange(14):
            case 0:
                return piece(column, " IN (", value, ")")
            case 1:
                return piece(value, " = ", column)
            case 2:
                return piece(column, f" = '{key}'")
            case 3:
                return piece(column, f" = {key}::{self.one_of('int', 'bigint')}")
            case 4:
                return piece(column, " = ANY (ARRAY[", key, "])")
            case 5:
                return piece(
                    column,
                    " = ANY (",
                    Value(f"'{{{key}}}'::int[]", [self.tenant], "::int[]", self.bound),
                    ")",
                )
            case 6:
                return piece(column, " IS NOT DISTINCT FROM ", key)
            case _:
                return piece(column, " = ", value)

    def several(self, column: str) -> Part:
        others = sorted(self.random.sample(range(1, 9), 2))
        return piece(column, " IN (", Seq(tuple(str(other) for other in others)), ")")

    def attacked(self, column: str) -> Part:
        """A condition that reaches for others, or seems to hold."""
        other = str(self.one_of(3, 4, 6, 7))
        own = str(self.tenant)
        return piece(self.one_of(
            f"{column} = {other}", f"({column} = {own} OR {column} = {other})", f"{column} <> {own}",
            f"{column} IN ({own}, {other})", f"({column} = {own} OR true)", f"{column} = {column}",
            f"NOT ({column} = {own})", f"{column} > 0", f"coalesce({column}, 0) = {other}",
            f"{column} = ANY ('{{{other}}}')", f"({column} = {own}) IS NOT TRUE", "true",
            f"{column} BETWEEN 1 AND 9", f"{column} = {own} IS FALSE", f"{column} + 0 = {other}",
            f"{column} IN (SELECT tenant_id FROM accounts)", f"{column} NOT IN ({own})",
            f"CASE WHEN {column} = {own} THEN false ELSE true END", f"{column}::text = '{other}'",
            f"/* {column} = {own} */ {column} = {other}", f"{column} = {own} -- AND false\n OR true",
        ))  # fmt: skip

    def tenancy(self, source: Source, linked: Source | None) -> tuple[Part, ...]:
        """What the text says of the tenant of a source, beside one that it is joined with."""
        if not source.tenant:
            return ()
        column = self.ref(source, "tenant_id")
        if self.attack and self.chance(0.6):
            return (self.attacked(column),)
        if self.mode is Mode.TENANT:
            share = self.random.random()
            if linked is not None and share < 0.3:
                return (piece(column, " = ", self.ref(linked, "tenant_id")),)
            return (self.tenant_is(column),) if share > 0.88 else ()
        if self.mode is Mode.KEYED:
            if linked is None:
                return (self.tenant_is(column),)
            link = piece(column, " = ", self.ref(linked, "tenant_id"))
            return (link,) if self.chance(0.8) else (link, self.tenant_is(column))
        if linked is not None:
            return (
                (piece(column, " = ", self.ref(linked, "tenant_id")),) if self.chance(0.95) else ()
            )
        return (self.several(column),) if self.chance(0.06) else ()

    # FROM

    def table(self, name: str, alias: str | None = None) -> tuple[Part, Source]:
        schema, columns, key = TABLES[name]
        if alias is None:
            alias = (
                name
                if self.chance(0.35)
                else self.one_of(name[0], name[0], next(self.names), f"{name[:2]} T")
            )
        full = f"{schema}.{name}" if schema != "public" or self.chance(0.12) else name
        if self.chance(0.05):
            full = ".".join(f'"{each}"' for each in full.split("."))
        word = "" if alias == name else self.one_of(" ", " AS ") + name_of(alias)
        tenant = columns[0].name == "tenant_id"
        if key is not None and tenant and self.mode is not Mode.ACROSS and not self.attack:
            key = key[1:] if self.chance(0.7) else key
        return full + word, Source(alias, columns, key, name, tenant)

    def sharded(self) -> str:
        return self.random.choices(
            ["accounts", "orders", "items", "events", "logs"], [3, 5, 3, 2, 1]
        )[0]

    def any_table(self) -> str:
        if self.chance(0.03) and self.mode is not Mode.TENANT:
            return "flags"
        return self.random.choice(REFERENCE) if self.chance(0.06) else self.sharded()

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

    # Sub-queries in expressions

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

    def scalar(self, scope: Scope) -> Expr:
        """A sub-query that gives one value."""
        part, source, conditions = self._linked(scope)
        where = self._inner_where(source, conditions)
        bare, self.bare = self.bare, False
        made = self.aggregate((source,))
        self.bare = bare
        return replace(made, part=piece("(SELECT ", made.part, " FROM ", part, where, ")"))

    # Aggregates

    def aggregate(self, scope: Scope, *, over: bool = False) -> Expr:
        """An aggregate whose result does not depend on the order of rows."""
        made = self._aggregate(scope, over=over)
        if self.chance(0.12):
            test = super().condition(scope, 0)
            made = replace(made, part=piece(made.part, optional(" FILTER (WHERE ", test, ")")))
        return made

    def _aggregate(self, scope: Scope, *, over: bool) -> Expr:
        choice = self.random.randrange(22)
        if choice < 6:
            return Expr(self.one_of("count(*)", "count(*)", "COUNT(*)"), "int")
        if choice == 6:
            column = self._column(scope, ("int", "text", "date"))
            word = "count(" if over or self.chance(0.5) else "count(DISTINCT "
            return Expr(piece(word, column.part, ")"), "int")
        if choice < 11:
            column = self._column(scope, ("int", "num", "num"), deep=True)
            word = "DISTINCT " if self.chance(0.08) and not over and column.plain else ""
            return Expr(piece(f"sum({word}", column.part, ")"), "num", plain=False)
        if choice < 13:
            column = self._column(scope, ("int", "num"))
            return Expr(piece("avg(", column.part, ")"), "num", plain=False)
        if choice < 16:
            column = self._column(scope, ("int", "num", "text", "date", "xdate", "ts"))
            return Expr(
                piece(self.one_of("min(", "max("), column.part, ")"), column.kind, column.plain
            )
        if choice == 16:
            test = super().condition(scope, 0)
            return Expr(piece(self.one_of("bool_and(", "bool_or(", "every("), test, ")"), "bool")
        if choice == 17 and not over:
            column = self._column(scope, ("text",))
            sort = piece(" ORDER BY ", column.part, self.one_of("", " DESC"))
            word = "DISTINCT " if self.chance(0.2) else ""
            return Expr(piece(f"string_agg({word}", column.part, ", ','", sort, ")"), "text")
        if choice == 18 and not over:
            column = self._column(scope, ("int", "text", "date"))
            word = self.one_of("array_agg(", "jsonb_agg(", "json_agg(")
            return Expr(
                piece(word, column.part, " ORDER BY ", column.part, ")"), "other", plain=False
            )
        if choice == 19:
            column = self._column(scope, ("int", "num"))
            word = self.one_of("stddev", "variance", "stddev_pop", "var_pop", "stddev_samp")
            return Expr(piece(f"{word}(", column.part, ")"), "num", plain=False)
        if choice == 20 and not over:
            column = self._column(scope, ("int",))
            word = self.one_of("percentile_cont", "percentile_disc")
            return Expr(
                piece(f"{word}(0.5) WITHIN GROUP (ORDER BY ", column.part, ")"),
                "float",
                plain=False,
            )
        column = self._column(scope, ("float", "int"))
        return Expr(piece("sum(", column.part, ")"), "num", plain=False)

    def _column(self, scope: Scope, kinds: tuple[str, ...], *, deep: bool = False) -> Expr:
        kind = self.random.choice(kinds)
        if deep and self.chance(0.3) and kind != "float":
            return Expressions.expr(self, kind, scope, 1)
        for each in (kind, *kinds):
            found = self.column(scope, each, plain=True)
            if found is not None:
                return found
        return Expr(self.value(kinds[0], cast=True, literal=True), kinds[0])

    # Windows

    def window(self, scope: Scope, key: list[tuple[Source, str]] | None) -> Expr:
        partition: Part = ""
        owner = next((source for source in scope if source.tenant), None)
        if owner is not None and self.chance(0.5 if self.mode is Mode.ACROSS else 0.15):
            partition = piece("PARTITION BY ", self.ref(owner, "tenant_id"))
        elif self.chance(0.5):
            partition = piece("PARTITION BY ", self._column(scope, ("text", "int", "date")).part)
        sort = self._column(scope, ("int", "text", "num", "date")).part
        way = self.one_of("", " DESC", " DESC NULLS LAST", " NULLS FIRST")
        peers = piece(" ORDER BY ", sort, way)
        if key is None or self.chance(0.35):
            word = self.one_of(
                "rank()", "dense_rank()", "count(*)", "percent_rank()", "cume_dist()"
            )
            frame = self.one_of(
                "", " RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", " GROUPS 1 PRECEDING"
            )
            if "()" in word:
                frame = ""
            if self.chance(0.3):
                made = self.aggregate(scope, over=True)
                return replace(made, part=piece(made.part, " OVER (", partition, ")"), plain=False)
            return Expr(piece(word, " OVER (", partition, peers, frame, ")"), "int")
        total = piece(" ORDER BY ", sort, way, ", ", ", ".join(self.ref(s, c) for s, c in key))
        value = self._column(scope, ("int", "text", "date", "num"))
        word = self.one_of(
            "row_number()",
            "row_number()",
            "ntile(2)",
            "lag",
            "lead",
            "first_value",
            "last_value",
            "nth",
            "sum",
        )
        frame = self.one_of("", " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING", " ROWS UNBOUNDED PRECEDING",
                            " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW")  # fmt: skip
        if word.endswith(")"):
            return Expr(piece(word, " OVER (", partition, total, ")"), "int")
        if word == "sum":
            number = self._column(scope, ("int", "num"))
            part = piece("sum(", number.part, ") OVER (", partition, total, frame, ")")
            return Expr(part, "num", plain=False)
        call = (
            piece("nth_value(", value.part, ", 2)")
            if word == "nth"
            else piece(f"{word}(", value.part, ")")
        )
        frame = "" if word in {"lag", "lead"} else frame
        return Expr(piece(call, " OVER (", partition, total, frame, ")"), value.kind, value.plain)

    # SELECT

    def select(self, outer: Scope, depth: int, *, named: bool = False, top: bool = False) -> Select:
        """A SELECT. `named`: every output has a name of its own, as a sub-query's must."""
        joins = self.random.choices([0, 1, 2, 3], [62, 27, 9, 2])[0]
        if not top:
            joins = min(joins, 1)
        source = self.from_(outer, depth, joins)
        self.bare = not outer and len(source.scope) == 1 and self.chance(0.6)
        if self.bare:
            source = replace(source, conditions=self.tenancy(source.scope[0], None))
        try:
            if self.chance(0.25):
                return self._grouped(source, outer, depth, named=named, top=top)
            return self._plain(source, outer, depth, named=named, top=top)
        finally:
            self.bare = False

    def where(self, source: From, outer: Scope, depth: int) -> Part:
        """WHERE of what the tenants need and one or two conditions more."""
        count = self.random.choices([0, 1, 2, 3], [25, 45, 25, 5])[0]
        conditions = list(source.conditions)
        for _ in range(count):
            scope = (*source.scope, *outer) if outer and self.chance(0.15) else source.scope
            conditions.append(piece(self.condition(scope, min(depth + 1, 2)), smaller=("true",)))
        if not conditions:
            return ""
        self.random.shuffle(conditions)
        return optional(
            self.one_of(" WHERE ", " where ", "\nWHERE "), Seq(tuple(conditions), " AND ")
        )

    def _plain(self, source: From, outer: Scope, depth: int, *, named: bool, top: bool) -> Select:
        where = self.where(source, outer, depth)
        items: list[Part] = []
        outputs: list[Column] = []
        key = source.key
        keyed: list[str] = []
        distinct = self.chance(0.08)
        if not distinct and not named and self.chance(0.2):
            return self._starred(source, where, outer, top=top)
        if key is not None and not distinct and self.chance(0.7):
            for owner, name in key:
                output = name if name not in {o.name for o in outputs} else next(self.names)
                word = "" if output == name else f" AS {output}"
                items.append(self.ref(owner, name) + word)
                kind = next(column.kind for column in owner.columns if column.name == name)
                outputs.append(Column(output, kind))
                keyed.append(output)
        for _ in range(self.random.choices([0, 1, 2, 3], [10, 40, 35, 15])[0] or int(not items)):
            made = self._item(source, outer, depth, distinct=distinct, top=top)
            name = next(self.names)
            bare = not named and not distinct and self.chance(0.25)
            items.append(made.part if bare else piece(made.part, self.one_of(" AS ", " as "), name))
            outputs.append(Column(name, made.kind, made.plain))
        self.random.shuffle(both := list(zip(items, outputs, strict=True)))
        items, outputs = [each[0] for each in both], [each[1] for each in both]
        complete = bool(keyed) and key is not None
        names = tuple(output.name for output in outputs)
        found = names if distinct else tuple(keyed) if complete else None
        tail = self._tail(source, outputs, distinct=distinct, top=top)
        word = "SELECT DISTINCT " if distinct else self.one_of("SELECT ", "SELECT ", "select ")
        if not distinct and top and key is not None and self.chance(0.025):
            word, tail = self._distinct_on(source)
            found = None
        part = piece(word, Seq(tuple(items)), " FROM ", source.part, where, tail)
        tenant = any(output.name == "tenant_id" for output in outputs)
        return Select(part, tuple(outputs), found, tenant)

    def _starred(self, source: From, where: Part, outer: Scope, *, top: bool) -> Select:
        star = "*"
        if len(source.scope) > 1 and self.chance(0.4):
            star = f"{name_of(source.scope[0].alias)}.*"
        tail = self._tail(source, [], distinct=False, top=top)
        return Select(piece("SELECT ", star, " FROM ", source.part, where, tail), (), None)

    def _item(self, source: From, outer: Scope, depth: int, *, distinct: bool, top: bool) -> Expr:
        kinds = ["int", "text", "text", "num", "date", "ts", "bool", "xdate"]
        if not distinct:
            kinds += ["json", "float", "ints", "uuid", "texts"]
            share = self.random.random()
            if share < 0.05 and depth > 0:
                return self.scalar(source.scope)
            if share < 0.09 and top:
                return self.window(source.scope, source.key)
        if self.chance(0.55):
            found = self.column(source.scope, self.random.choice(kinds), plain=True)
            if found is not None:
                return found
        made = self.expr(self.random.choice(kinds), source.scope, depth)
        if distinct and not made.plain:
            return Expr(piece("(", made.part, ")::text"), "text")
        return made

    def _distinct_on(self, source: From) -> tuple[str, Part]:
        column = self._column(source.scope, ("text", "int", "date")).part
        key = ", ".join(self.ref(owner, name) for owner, name in source.key or ())
        return f"SELECT DISTINCT ON ({column}) ", piece(f" ORDER BY {column}, {key}", ordered=())

    # ORDER BY, LIMIT

    def way(self) -> str:
        return self.one_of("", "", " ASC", " DESC", " DESC NULLS LAST", " NULLS FIRST", " desc")

    def _tail(self, source: From, outputs: list[Column], *, distinct: bool, top: bool) -> Part:
        """ORDER BY and LIMIT: with LIMIT the order is total."""
        share = self.random.random()
        if share > (0.62 if top else 0.12):
            return ""
        if distinct:
            return self.ordinals(outputs, limited=self.chance(0.5), top=top)
        terms: list[Part] = []
        named: list[str] = []
        sortable = [output for output in outputs if output.kind in SORTABLE]
        for _ in range(self.random.choices([0, 1, 2], [25, 55, 20])[0]):
            if sortable and self.chance(0.3):
                output = self.random.choice(sortable)
                if not output.name.startswith("x"):
                    continue
                word = str(outputs.index(output) + 1)
                terms.append(piece(word, self.way()))
                named.append(output.name)
                continue
            kind = self.one_of("int", "text", "text", "num", "date", "ts", "xdate", "bool", "float")
            found = self.column(source.scope, kind)
            if found is None:
                continue
            if self.chance(0.12) and not named:
                found = self.expr(kind, source.scope, 1)
                found = replace(found, part=piece("(", found.part, ")"))
            collated = (
                f" COLLATE {self.one_of(*COLLATIONS)}"
                if kind == "text" and self.chance(0.1)
                else ""
            )
            terms.append(piece(found.part, collated, self.way()))
        key = source.key
        if key is None:
            return optional(" ORDER BY ", Seq(tuple(terms))) if terms else ""
        last = Seq(
            tuple(
                piece(self.ref(owner, name), self.one_of("", "", " DESC")) for owner, name in key
            ),
            least=len(key),
        )
        total = piece(Seq(tuple(terms), least=0), ", " if terms else "", last)
        if terms:
            total = Piece((Seq((*terms, *last.items), least=len(terms) + len(key)),), (last,))
        bounds = self.bounds() if self.chance(0.55) else ""
        word = self.one_of(" ORDER BY ", " order by ", "\nORDER BY ")
        return optional(word, total, bounds, **_ordered(top=top))

    def ordinals(self, outputs: list[Column], *, limited: bool, top: bool) -> Part:
        """The order of all outputs, by number or name."""
        if not outputs or any(o.kind not in SORTABLE or not o.plain for o in outputs):
            return ""
        numbers = list(range(1, len(outputs) + 1))
        self.random.shuffle(numbers)
        terms = tuple(piece(str(number), self.way()) for number in numbers)
        bounds = self.bounds() if limited else ""
        return optional(" ORDER BY ", Seq(terms, least=len(terms)), bounds, **_ordered(top=top))

    def bounds(self) -> Part:
        limit = Value(str(n := self.one_of(1, 2, 3, 5, 10, 0)), n, "", self.bound)
        offset = Value(str(n := self.one_of(0, 1, 3, 7)), n, "", self.bound)
        match self.random.randrange(9):
            case 0:
                return piece(" OFFSET ", offset)
            case 1 | 2:
                return piece(" LIMIT ", limit, optional(" OFFSET ", offset))
            case 3:
                return piece(" OFFSET ", offset, " LIMIT ", limit)
            case 4:
                return f" FETCH FIRST {self.one_of('2 ROWS', '1 ROW', 'ROW')} ONLY"
            case 5:
                return self.one_of(
                    " LIMIT ALL", " LIMIT NULL", " OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY"
                )
            case _:
                return piece(" LIMIT ", limit)

    # GROUP BY

    def _grouped(self, source: From, outer: Scope, depth: int, *, named: bool, top: bool) -> Select:
        where = self.where(source, outer, depth)
        groups: list[Expr] = []
        owner = next((each for each in source.scope if each.tenant), None)
        if owner is not None and self.chance(0.35 if self.mode is Mode.ACROSS else 0.08):
            groups.append(Expr(self.ref(owner, "tenant_id"), "int"))
        for _ in range(self.random.choices([0, 1, 2], [35, 50, 15])[0]):
            kind = self.one_of("text", "text", "int", "date", "bool", "xdate")
            found = self.column(source.scope, kind, plain=True)
            if found is not None and self.chance(0.2) and kind in {"text", "date"}:
                bound, self.bound = self.bound, False  # $1 and $2 are not one expression
                found = Expressions.expr(self, kind, source.scope, 1)
                self.bound = bound
            if found is not None and found.plain and not isinstance(found.part, Value):
                groups.append(found)
        items: list[Part] = []
        outputs: list[Column] = []
        shown = [group for group in groups if self.chance(0.9)]
        for group in shown:
            name = (
                "tenant_id"
                if isinstance(group.part, str) and group.part.endswith("tenant_id")
                else next(self.names)
            )
            if any(output.name == name for output in outputs):
                name = next(self.names)
            items.append(piece(group.part, f" AS {name}"))
            outputs.append(Column(name, group.kind))
        for _ in range(self.random.choices([0, 1, 2, 3], [6, 50, 30, 14])[0] or int(not items)):
            made = self.aggregate(source.scope)
            if made.kind in {"int", "num"} and self.chance(0.1):
                made = self._around(made)
            name = next(self.names)
            bare = not named and self.chance(0.3)
            items.append(made.part if bare else piece(made.part, f" AS {name}"))
            outputs.append(Column(name, made.kind, made.plain))
        having: Part = ""
        if self.chance(0.2):
            word = self.one_of("count(*) > 1", "count(*) >= 2", "sum(1) < 5", "max(1) IS NOT NULL")
            having = optional(" HAVING ", word)
        clause, sets = self._group_by(groups, shown)
        key = tuple(output.name for output in outputs[: len(shown)])
        whole = len(shown) == len(groups) and not sets
        tail: Part = ""
        if top and groups and whole and self.chance(0.6):
            tail = self._group_tail(shown, outputs)
        part = piece(
            "SELECT ", Seq(tuple(items)), " FROM ", source.part, where, clause, having, tail
        )
        tenant = any(output.name == "tenant_id" for output in outputs)
        return Select(part, tuple(outputs), key if whole else None, tenant)

    def _around(self, made: Expr) -> Expr:
        match self.random.randrange(3):
            case 0:
                return replace(
                    made, part=piece("coalesce(", made.part, ", 0)", smaller=(made.part,))
                )
            case 1:
                return Expr(
                    piece("(", made.part, ") * 2", smaller=(made.part,)), made.kind, made.plain
                )
            case _:
                return Expr(
                    piece("round((", made.part, ")::numeric, 2)", smaller=(made.part,)), "num"
                )

    def _group_by(self, groups: list[Expr], shown: list[Expr]) -> tuple[Part, bool]:
        if not groups:
            return "", False
        parts = tuple(group.part for group in groups)
        if self.chance(0.06):
            listed = Seq(parts, least=len(parts))
            word = self.one_of("ROLLUP (", "CUBE (", "GROUPING SETS ((), ")
            return piece(" GROUP BY ", word, listed, ")"), True
        if self.chance(0.15) and len(groups) == 1 and shown:
            return " GROUP BY 1", True
        return piece(self.one_of(" GROUP BY ", " group by "), Seq(parts, least=len(parts))), False

    def _group_tail(self, shown: list[Expr], outputs: list[Column]) -> Part:
        terms: list[Part] = []
        others = [o for o in outputs[len(shown) :] if o.kind in SORTABLE]
        if self.chance(0.4):
            terms.append(piece(self.one_of("count(*)", "count(*) DESC", "max(1)")))
        elif others and self.chance(0.4):
            terms.append(piece(str(outputs.index(self.random.choice(others)) + 1), self.way()))
        groups = [
            piece(group.part if self.chance(0.5) else str(number), self.way())
            for number, group in enumerate(shown, 1)
        ]
        bounds = self.bounds() if self.chance(0.45) else ""
        last = Seq(tuple(groups), least=len(groups))
        every = Piece((Seq((*terms, *groups), least=len(terms) + len(groups)),), (last,))
        return optional(" ORDER BY ", every, bounds, ordered=())
