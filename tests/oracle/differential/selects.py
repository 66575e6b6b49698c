"""SELECT statements as applications send them: most of them simple, each with one right answer.

LIMIT, array_agg, row_number and their like stand only where the order is total. Equal values that
are spelled in several ways (1.5 and 1.50) are not grouped, made distinct or compared by sets.
"""

from __future__ import annotations

from dataclasses import replace

from .columns import COLLATIONS, SORTABLE, Column, Expr, Scope, name_of
from .expressions import Expressions
from .sources import From, Select, Sources
from .tenancy import Mode
from .tree import Part, Piece, Seq, Value, optional, piece


def _ordered(*, top: bool) -> dict[str, tuple[str, ...]]:
    """The mark of an order that the whole answer has."""
    return {"ordered": ()} if top else {}


class Selects(Sources):
    """Makes SELECT statements for one mode and tenant."""

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
            if not named and len(source.scope) == 2 and self.chance(0.12):
                return self._by_key(source, outer, depth)
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
        if self.chance(0.15):
            owner = self.random.choice(source.scope)
            whole = name_of(owner.alias)
            star = self.one_of(f"*, 1 AS {next(self.names)}", whole, f"row_to_json({whole})",
                               f"to_jsonb({whole}) - 'email'", f"({whole}).{name_of(owner.columns[0].name)}",
                               f"*, {whole}.*", f"count({whole}) OVER ()")  # fmt: skip
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
            if share > 0.985 and top:
                return self.set_returning(source)
            if share > 0.975:
                return self.array_of(source.scope)
            if share < 0.09 and top:
                return self.window(source.scope, source.key)
        if self.chance(0.006):
            return Expr(
                self.one_of("misspelt", "1 / 0", "'a' + 1", "lower(1, 2)", "'x'::int"), "other"
            )
        if self.chance(0.55):
            found = self.column(source.scope, self.random.choice(kinds), plain=True)
            if found is not None:
                return found
        made = self.expr(self.random.choice(kinds), source.scope, depth)
        if distinct and not made.plain:
            return Expr(piece("(", made.part, ")::text"), "text")
        return made

    def set_returning(self, source: From) -> Expr:
        """A function in the SELECT list that gives several rows for one."""
        for owner in source.scope:
            for column in owner.columns:
                if column.kind in {"ints", "texts"}:
                    return Expr(piece("unnest(", self.ref(owner, column), ")"), "other")
        return Expr(
            self.one_of("generate_series(1, 2)", 'jsonb_object_keys(\'{"a": 1, "b": 2}\')'), "other"
        )

    def _distinct_on(self, source: From) -> tuple[str, Part]:
        column = self._column(source.scope, ("text", "int", "date")).part
        key = ", ".join(self.ref(owner, name) for owner, name in source.key or ())
        return f"SELECT DISTINCT ON ({column}) ", piece(f" ORDER BY {column}, {key}", ordered=())

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
        if not (terms or key):
            return ""  # one row at most
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
                    " LIMIT 1 + 2",
                    " LIMIT 3 OFFSET 0",
                    " FETCH FIRST 2 ROWS WITH TIES",
                    " LIMIT (2)",
                    " LIMIT ALL",
                    " LIMIT NULL",
                    " OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY",
                )
            case _:
                return piece(" LIMIT ", limit)

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

    def _by_key(self, source: From, outer: Scope, depth: int) -> Select:
        """Groups by a table's primary key, with others of its columns beside it."""
        owner, other = self.random.sample(source.scope, 2)
        where = self.where(source, outer, depth)
        key = ("tenant_id", "id") if owner.table in {"accounts", "orders"} else owner.key
        if owner.table in {None, "logs"} or key is None:
            return self._plain(source, outer, depth, named=False, top=True)
        shown = self.random.sample(owner.columns, 2)
        items = [self.ref(owner, column) for column in shown]
        groups = ", ".join(self.ref(owner, name) for name in key)
        made = self.aggregate((other,))
        order = optional(
            f" ORDER BY {groups}", self.bounds() if self.chance(0.4) else "", ordered=()
        )
        part = piece(
            "SELECT ", Seq(tuple(items)), ", ", made.part, " FROM ", source.part, where,
            f" GROUP BY {groups}", order if self.chance(0.6) else "",
        )  # fmt: skip
        return Select(part, (), None)

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
