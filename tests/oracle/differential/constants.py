"""Constants and columns as they stand in a statement."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from random import Random

from . import data
from .columns import Column, Expr, Scope, Source, cast_to, family, name_of
from .tree import Value


class Constants:
    """Chooses constants that occur in the data, or nearly, and columns in scope."""

    def __init__(self, random: Random, *, bound: bool) -> None:
        self.random = random
        self.bound = bound
        """Constants are arguments more often than literals."""
        self.bare = False
        """Columns need no qualifier: one source is in scope."""

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def one_of(self, *choices):
        return self.random.choice(choices)

    def value(self, kind: str, *, cast: bool = False, literal: bool = False) -> Value:
        """A constant that occurs in the data, or nearly; its type is evident where it stands."""
        pick = self.random.choice
        text: object
        argument: object
        match family(kind):
            case "int":
                argument = text = pick([0, 1, 2, 3, 5, 7, 12])
                return self._value(str(text), argument, kind, cast=cast, literal=literal)
            case "num":
                text = pick(["0", "12.50", "-1.5", "7", "100", "0.01"])
                return self._value(text, Decimal(text), kind, cast=cast, literal=literal)
            case "float":
                text = pick(["0.5", "1.5", "-0.25", "2"])
                return self._value(text, float(text), kind, cast=cast, literal=literal)
            case "bool":
                text = pick(["true", "false"])
                return self._value(text, text == "true", kind, cast=cast, literal=literal)
            case "text":
                text = pick(
                    [*data.NOTES[1:], *data.STATUSES[:4], *data.NAMES[:6], "at", "A-1", "%a%"]
                )
                return self._value(data.quoted(text), text, kind, cast=cast, literal=literal)
            case "date":
                text = pick(data.DATES[:-1])
                return self._timed(str(text), kind, cast=cast, literal=literal)
            case "xdate":
                return Value(f"DATE '{pick(['2024-03-01', 'infinity', '2024-12-31'])}'")
            case "ts":
                text = pick(data.TIMES[:-1])
                return self._timed(str(text), kind, cast=cast, literal=literal)
            case "uuid":
                return Value(f"'00000000-0000-4000-8000-0000000000{pick('012'):0>2}'::uuid")
            case "json":
                return Value(data.quoted(pick(data.JSONS[:3])) + "::jsonb")
            case "ints":
                return Value(data.quoted(pick(data.ARRAYS[:2] + data.ARRAYS[3:])) + "::int[]")
            case "texts":
                return Value(data.quoted(pick(data.TAGS[:2] + data.TAGS[3:])) + "::text[]")
            case "mood":
                return Value(data.quoted(pick(data.MOODS[:-1])) + "::app.mood")
            case "bpchar":
                return Value(data.quoted(pick(data.SHORT[:-1])) + "::bpchar")
            case "interval":
                return Value("interval " + data.quoted(pick(data.SPANS[:-1])))
            case "time":
                return Value(f"TIME {data.quoted(pick(data.CLOCKS[:-1]))}")
            case "bytea":
                return Value(data.quoted(pick(data.RAW[:-1])) + "::bytea")
        raise AssertionError(kind)

    def _value(self, text: str, argument: object, kind: str, *, cast: bool, literal: bool) -> Value:
        bound = not literal and self.chance(0.7 if self.bound else 0.0)
        suffix = cast_to(kind) if cast or bound else ""
        if text.startswith("-") and suffix and not bound:
            text = f"({text})"
        return Value(text if bound and not cast else text + suffix, argument, suffix, bound)

    def _timed(self, text: str, kind: str, *, cast: bool, literal: bool) -> Value:
        argument: object
        if kind == "date":
            argument, word = date.fromisoformat(text), "DATE"
        else:
            argument, word = datetime.fromisoformat(text), "TIMESTAMPTZ"
        bound = not literal and self.chance(0.7 if self.bound else 0.0)
        spelled = self.one_of(f"{word} '{text}'", f"'{text}'{cast_to(kind)}")
        return Value(spelled, argument, cast_to(kind), bound)

    def columns(
        self, scope: Scope, kind: str, *, plain: bool = False
    ) -> list[tuple[Source, Column]]:
        return [
            (source, column)
            for source in scope
            for column in source.columns
            if family(column.kind) == family(kind) and (column.plain or not plain)
        ]

    def ref(self, source: Source, column: Column | str) -> str:
        name = name_of(column if isinstance(column, str) else column.name)
        if self.bare:
            return name
        alias = name_of(source.alias)
        return (
            f"{alias.upper()}.{name}"
            if alias.islower() and self.chance(0.03)
            else f"{alias}.{name}"
        )

    def column(self, scope: Scope, kind: str, *, plain: bool = False) -> Expr | None:
        found = self.columns(scope, kind, plain=plain)
        if not found:
            return None
        source, column = self.random.choice(found)
        return Expr(self.ref(source, column), column.kind, column.plain)
