"""Typed expressions over the columns in scope, valid for PostgreSQL and the same in every run.

Nothing here can fail for some rows only (a division by zero, an integer out of range): whether
PostgreSQL meets such a row depends on its plan.
"""

from __future__ import annotations

from dataclasses import replace

from .columns import COMPARED, Expr, Scope, family
from .constants import Constants
from .tree import Part, Seq, piece


class Expressions(Constants):
    """Makes expressions and conditions, without sub-queries."""

    def expr(self, kind: str, scope: Scope, depth: int) -> Expr:
        """An expression of that kind, at most `depth` calls deep."""
        kind = family(kind)
        if depth <= 0 or self.chance(0.35):
            found = self.column(scope, kind) if self.chance(0.85) else None
            return found or Expr(self.value(kind, cast=True), kind)
        make = getattr(self, f"_{kind}", None)
        if make is None:
            return self._shared(kind, scope, depth - 1)
        made = make(scope, depth - 1)
        return made if isinstance(made, Expr) else Expr(made, kind)

    def part(self, kind: str, scope: Scope, depth: int) -> Part:
        return self.expr(kind, scope, depth).part

    def _shared(self, kind: str, scope: Scope, depth: int) -> Expr:
        """What can be done with values of every kind."""
        a = self.expr(kind, scope, depth)
        b = self.expr(kind, scope, depth)
        plain = a.plain and b.plain and kind != "num"  # 0 or 0.00
        match self.one_of("coalesce", "case", "nullif", "paren"):
            case "coalesce":
                part = piece("coalesce(", a.part, ", ", b.part, ")", smaller=(a.part,))
            case "case":
                test = self.condition(scope, depth - 1)
                other = piece(" ELSE ", b.part, smaller=("",))
                part = piece("CASE WHEN ", test, " THEN ", a.part, other, " END", smaller=(a.part,))
            case "nullif":
                part = piece("nullif(", a.part, ", ", b.part, ")", smaller=(a.part,))
            case _:
                part = piece("(", a.part, ")", smaller=(a.part,))
        return Expr(part, kind, plain)

    def _int(self, scope: Scope, depth: int) -> Expr | Part:
        a = self.part("int", scope, depth)
        match self.random.randrange(18):
            case 13:
                words = piece(self.part("json", scope, depth), " -> 'in' -> 'a'")
                return piece("jsonb_array_length(", words, ")", smaller=(a,))
            case 14:
                return piece("(", self.part("ints", scope, depth), ")[1]", smaller=(a,))
            case 15:
                return piece("position('a' in ", self.part("text", scope, depth), ")", smaller=(a,))
            case 16:
                return piece("CAST(", a, " AS bigint)", smaller=(a,))
            case 17:
                b = self.part("text", scope, depth)
                return piece("num_nulls(", a, ", ", b, ")", smaller=(a,))
            case 0:
                return piece(
                    "(", a, self.one_of(" + ", " - "), self.value("int"), ")", smaller=(a,)
                )
            case 1:
                return piece("(", a, " * ", self.value("int", literal=True), ")", smaller=(a,))
            case 2:
                return piece("(", a, " % 7)", smaller=(a,))
            case 3:
                b = self.part("int", scope, depth)
                return piece("(", a, " / nullif(", b, ", 0))", smaller=(a,))
            case 4:
                return piece("abs(", a, ")", smaller=(a,))
            case 5:
                word = self.one_of("length", "char_length", "octet_length", "ascii", "bit_length")
                return piece(f"{word}(", self.part("text", scope, depth), ")", smaller=(a,))
            case 6:
                return piece("strpos(", self.part("text", scope, depth), ", 'a')", smaller=(a,))
            case 7:
                return piece("cardinality(", self.part("ints", scope, depth), ")", smaller=(a,))
            case 8:
                day = self.part("date", scope, depth)
                return piece("(", day, " - DATE '2024-01-01')", smaller=(a,))
            case 9:
                b = self.part("int", scope, depth)
                return piece(self.one_of("greatest(", "least("), a, ", ", b, ")", smaller=(a,))
            case 10:
                field = self.one_of("year", "month", "dow", "doy")
                day = self.part("date", scope, depth)
                return piece(f"extract({field} from ", day, ")::int", smaller=(a,))
            case _:
                return self._shared("int", scope, depth)

    def _num(self, scope: Scope, depth: int) -> Expr | Part:
        a = self.expr("num", scope, depth)
        match self.random.randrange(10):
            case 9:
                a = self.expr("interval", scope, 0)
                part = piece("extract(epoch from ", a.part, ")", smaller=(a.part,))
                return Expr(part, "num", plain=False)
            case 0 | 1:
                b = self.part("num", scope, depth)
                word = self.one_of(" + ", " - ", " * ")
                return Expr(piece("(", a.part, word, b, ")", smaller=(a.part,)), "num", plain=False)
            case 2:
                b = self.part("num", scope, depth)
                part = piece("(", a.part, " / nullif(", b, ", 0))", smaller=(a.part,))
                return Expr(part, "num", plain=False)
            case 3:
                return piece("round(", a.part, ", 1)", smaller=(a.part,))
            case 4:
                word = self.one_of("abs", "floor", "ceil", "trunc", "-")
                return Expr(piece(f"{word}(", a.part, ")", smaller=(a.part,)), "num", a.plain)
            case 5:
                b = self.part("int", scope, depth)
                return Expr(piece("(", b, ")::numeric", smaller=(a.part,)), "num")
            case 6:
                b = self.part("int", scope, depth)
                part = piece("(", b, " * 1.10)", smaller=(a.part,))
                return Expr(part, "num", plain=False)
            case _:
                return self._shared("num", scope, depth)

    def _float(self, scope: Scope, depth: int) -> Expr | Part:
        a = self.expr("float", scope, depth)
        match self.random.randrange(5):
            case 0:
                part = piece("(", a.part, " * 0.5::float8)", smaller=(a.part,))
            case 1:
                part = piece("abs(", a.part, ")", smaller=(a.part,))
            case 2:
                part = piece("(", self.part("int", scope, depth), ")::float8", smaller=(a.part,))
            case _:
                return replace(self._shared("float", scope, depth), plain=False)
        return Expr(part, "float", plain=False)

    def _text(self, scope: Scope, depth: int) -> Expr | Part:
        a = self.part("text", scope, depth)
        match self.random.randrange(30):
            case 19:
                return piece("translate(", a, ", 'ab', 'xy')", smaller=(a,))
            case 20:
                return piece("trim(both ' ' from ", a, ")", smaller=(a,))
            case 21:
                return piece("(regexp_match(", a, ", '([a-z])'))[1]", smaller=(a,))
            case 22:
                return piece("substring(", a, " from '[A-Z]')", smaller=(a,))
            case 23:
                return piece("CAST(", a, " AS varchar(2))::text", smaller=(a,))
            case 24:
                return piece("(", a, ' COLLATE "C")', smaller=(a,))
            case 25:
                other = self.one_of(
                    "E'it\\'s\\n'", "$$dollar$$", "$q$a'b$q$", "U&'\\00e4'", "'it''s'"
                )
                return piece("concat(", a, f", {other})", smaller=(a,))
            case 26:
                return piece("(", self.part("mood", scope, 0), ")::text", smaller=(a,))
            case 27:
                return piece("encode(", self.part("bytea", scope, 0), ", 'hex')", smaller=(a,))
            case 28:
                return piece(
                    "to_char(", self.part("ts", scope, depth), ", 'HH24:MI:SS')", smaller=(a,)
                )
            case 29:
                return piece("jsonb_typeof(", self.part("json", scope, depth), ")", smaller=(a,))
            case 0 | 1:
                b = self.part(self.one_of("text", "text", "int"), scope, depth)
                return piece("(", a, " || ", b, ")", smaller=(a,))
            case 2 | 3:
                word = self.one_of(
                    "upper", "lower", "initcap", "trim", "reverse", "md5", "btrim", "quote_literal"
                )
                return piece(f"{word}(", a, ")", smaller=(a,))
            case 4:
                return piece("substr(", a, ", 1, 2)", smaller=(a,))
            case 5:
                word = self.one_of("left", "right", "repeat")
                return piece(f"{word}(", a, ", 2)", smaller=(a,))
            case 6:
                return piece("replace(", a, ", 'a', 'ä')", smaller=(a,))
            case 7:
                b = self.part("text", scope, depth)
                return piece("concat_ws('-', ", a, ", ", b, ")", smaller=(a,))
            case 8:
                return piece("(", self.part("int", scope, depth), ")::text", smaller=(a,))
            case 9:
                return piece("(", self.part("json", scope, depth), " ->> 'tag')", smaller=(a,))
            case 10:
                day = self.part("date", scope, depth)
                return piece("to_char(", day, ", 'YYYY-MM')", smaller=(a,))
            case 11:
                return piece("regexp_replace(", a, ", '[ab]+', '<\\&>', 'g')", smaller=(a,))
            case 12:
                return piece("split_part(", a, ", ' ', 1)", smaller=(a,))
            case 13:
                return piece(
                    "format('%s/%s', ", a, ", ", self.part("int", scope, depth), ")", smaller=(a,)
                )
            case 14:
                return piece(
                    "array_to_string(",
                    self.part("texts", scope, depth),
                    ", ',', '*')",
                    smaller=(a,),
                )
            case 15:
                word = self.one_of("substring(", "overlay(")
                tail = " from 2 for 1)" if word == "substring(" else " placing '#' from 1 for 1)"
                return piece(word, a, tail, smaller=(a,))
            case 16:
                return piece("lpad(", a, ", 3, '.')", smaller=(a,))
            case _:
                return self._shared("text", scope, depth)

    def _bool(self, scope: Scope, depth: int) -> Part:
        return self.condition(scope, depth)

    def _date(self, scope: Scope, depth: int) -> Expr | Part:
        a = self.part("date", scope, depth)
        match self.random.randrange(5):
            case 0:
                return piece(
                    "(", a, self.one_of(" + ", " - "), self.one_of("1", "30"), ")", smaller=(a,)
                )
            case 1:
                word = self.one_of("month", "year", "week")
                return piece(f"date_trunc('{word}', ", a, ")::date", smaller=(a,))
            case 2:
                return piece("(", self.part("ts", scope, depth), ")::date", smaller=(a,))
            case _:
                return self._shared("date", scope, depth)

    def _xdate(self, scope: Scope, depth: int) -> Expr:
        return self._shared("xdate", scope, depth)

    def _ts(self, scope: Scope, depth: int) -> Expr | Part:
        a = self.part("ts", scope, depth)
        match self.random.randrange(7):
            case 5:
                return piece("(", a, " + ", self.part("interval", scope, 0), ")", smaller=(a,))
            case 6:
                return piece(
                    "((", a, " AT TIME ZONE 'UTC') AT TIME ZONE 'Asia/Tokyo')", smaller=(a,)
                )
            case 0:
                word = self.one_of("1 day", "2 hours", "1 month")
                return piece("(", a, f" + interval '{word}')", smaller=(a,))
            case 1:
                word = self.one_of("day", "hour", "month")
                return piece(f"date_trunc('{word}', ", a, ")", smaller=(a,))
            case _:
                return self._shared("ts", scope, depth)

    def _uuid(self, scope: Scope, depth: int) -> Expr:
        return self._shared("uuid", scope, depth)

    def _json(self, scope: Scope, depth: int) -> Expr | Part:
        a = self.part("json", scope, depth)
        match self.random.randrange(8):
            case 6:
                return piece("jsonb_path_query_first(", a, ", '$.in.a[0]')", smaller=(a,))
            case 7:
                return piece("(", a, " || jsonb_build_object('z', 1))", smaller=(a,))
            case 0:
                return piece("(", a, " -> ", self.one_of("'n'", "'in'"), ")", smaller=(a,))
            case 1:
                b = self.part(self.one_of("int", "text"), scope, depth)
                return piece("jsonb_build_object('k', ", b, ")", smaller=(a,))
            case 2:
                return piece("to_jsonb(", self.part("text", scope, depth), ")", smaller=(a,))
            case 3:
                return piece("(", a, " #> '{in,a}')", smaller=(a,))
            case _:
                return self._shared("json", scope, depth)

    def _ints(self, scope: Scope, depth: int) -> Expr | Part:
        a = self.part("ints", scope, depth)
        match self.random.randrange(5):
            case 0:
                return piece(
                    "array_append(", a, ", ", self.value("int", literal=True), ")", smaller=(a,)
                )
            case 1:
                number = piece("(", self.part("int", scope, depth), ")::int")
                return piece("ARRAY[", number, ", 3]", smaller=(a,))
            case 2:
                return piece("(", a, " || '{9}'::int[])", smaller=(a,))
            case _:
                return self._shared("ints", scope, depth)

    def _texts(self, scope: Scope, depth: int) -> Expr | Part:
        a = self.part("texts", scope, depth)
        match self.random.randrange(4):
            case 0:
                return piece(
                    "string_to_array(", self.part("text", scope, depth), ", ' ')", smaller=(a,)
                )
            case 1:
                return piece("ARRAY[", self.part("text", scope, depth), "]", smaller=(a,))
            case _:
                return self._shared("texts", scope, depth)

    # Conditions

    def condition(self, scope: Scope, depth: int) -> Part:
        """A condition without sub-queries."""
        if depth > 0 and self.chance(0.3):
            a, b = self.condition(scope, depth - 1), self.condition(scope, depth - 1)
            word = self.one_of(" AND ", " AND ", " OR ")
            if self.chance(0.15):
                return piece("NOT (", a, ")", smaller=(a,))
            return piece("(", a, word, b, ")", smaller=(a, b))
        kinds = [kind for kind in COMPARED if self.columns(scope, kind)]
        kind = self.random.choice(kinds or ["int"])
        return self._compared(kind, scope, depth)

    def _compared(self, kind: str, scope: Scope, depth: int) -> Part:
        a = self.part(kind, scope, min(depth, 1) if self.chance(0.2) else 0)
        if isinstance(a, str) and a.endswith("tenant_id"):
            # what a condition says of tenants is said elsewhere
            a = piece("coalesce(", a, ", ", a, ")") if kind != "int" else piece(a, " + 0")
        shape = self.random.randrange(24)
        if shape == 20 and kind in {"int", "text", "date"}:
            b = self.value(kind)
            return piece("ROW(", a, ", 1) ", self.one_of("=", "<", ">="), " ROW(", b, ", 1)")
        if shape == 21 and kind == "int":
            return piece("(", a, ", 1) IN ((1, 1), (2, 1))")
        if shape == 22 and kind == "text":
            return piece(
                a, self.one_of(" SIMILAR TO 'a%|b'", " ^@ 'a'", " ~~ 'a%'", " NOT ILIKE 'A_'")
            )
        if shape == 23 and kind in {"int", "num"}:
            return piece(a, " BETWEEN SYMMETRIC ", self.value(kind), " AND ", self.value(kind))
        if shape == 0:
            return piece(a, self.one_of(" IS NULL", " IS NOT NULL"))
        if kind == "bool":
            return piece(
                "(", a, ")", self.one_of("", " IS TRUE", " IS NOT TRUE", " = true", " IS UNKNOWN")
            )
        if kind == "json":
            word = self.one_of(
                " @> '{\"n\": 1}'", " ? 'tag'", " ->> 'tag' = 'x'", " <> '{}'", " ?| array['n','z']"
            )
            return piece("(", a, word, ")")
        if kind in {"ints", "texts"}:
            same = self.value(kind)
            return piece("(", a, self.one_of(" @> ", " && ", " = ", " <@ "), same, ")")
        if kind == "text" and shape < 8:
            word = self.one_of(" LIKE ", " NOT LIKE ", " ILIKE ", " ~ ", " ~* ", " !~ ")
            pattern = (
                self.one_of("'a%'", "'%a%'", "'_'")
                if "LIKE" in word
                else self.one_of("'^[a-z]'", "'b'")
            )
            return piece(a, word, pattern)
        if shape in {8, 9}:
            items = tuple(self.value(kind) for _ in range(self.random.randint(1, 3)))
            return piece(a, self.one_of(" IN (", " IN (", " NOT IN ("), Seq(items), ")")
        if shape == 10:
            return piece(a, " BETWEEN ", self.value(kind), " AND ", self.value(kind))
        if shape == 11:
            b = self.part(kind, scope, 0)
            return piece(a, self.one_of(" IS DISTINCT FROM ", " IS NOT DISTINCT FROM "), b)
        if shape == 12 and kind in {"int", "text"}:
            items = tuple(self.value(kind, literal=True) for _ in range(2))
            return piece(a, " = ANY (ARRAY[", Seq(items), "])")
        if shape == 13 and kind == "text":
            return piece(a, self.one_of(" < ", " >= "), self.value(kind), ' COLLATE "C"')
        if shape == 14:
            return piece(a, self.one_of(" = ", " < "), self.part(kind, scope, 0))
        word = self.one_of(" = ", " = ", " = ", " <> ", " < ", " >= ", " > ", " <= ")
        return piece(a, word, self.value(kind))
