"""Aggregates and window functions whose results do not depend on the order of rows."""

from __future__ import annotations

from dataclasses import replace

from .columns import Expr, Scope, Source
from .expressions import Expressions
from .tenancy import Mode, Tenancy
from .tree import Part, optional, piece


class Aggregates(Tenancy):
    """Makes aggregates and window functions over the columns in scope."""

    def aggregate(self, scope: Scope, *, over: bool = False) -> Expr:
        """An aggregate whose result does not depend on the order of rows."""
        made = self._aggregate(scope, over=over)
        if self.chance(0.12):
            test = super().condition(scope, 0)
            made = replace(made, part=piece(made.part, optional(" FILTER (WHERE ", test, ")")))
        return made

    def _aggregate(self, scope: Scope, *, over: bool) -> Expr:
        choice = self.random.randrange(26)
        if choice == 22 and not over:
            column = self._column(scope, ("int", "text", "mood"))
            way = self.one_of("", " DESC NULLS LAST")
            part = piece("array_agg(DISTINCT ", column.part, " ORDER BY ", column.part, way, ")")
            return Expr(part, "other", plain=False)
        if choice == 23:
            column = self._column(scope, ("mood", "bpchar", "interval", "time", "uuid"))
            if column.kind == "uuid":
                column = Expr(piece(column.part, "::text"), "text")
            return Expr(piece(self.one_of("min(", "max("), column.part, ")"), column.kind)
        if choice == 24:
            column = self._column(scope, ("int",))
            word = self.one_of("bit_and", "bit_or", "bit_xor")
            return Expr(piece(f"{word}(", column.part, ")"), "int")
        if choice == 25 and not over:
            column = self._column(scope, ("text", "int"))
            part = piece("jsonb_object_agg(coalesce(", column.part, "::text, '-'), 1)")
            return Expr(part, "json")
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
        whole = "".join(f", {self.ref(owner, name)}" for owner, name in key)
        total = piece(" ORDER BY ", sort, way, whole)
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
