"""What a statement says of tenants: nothing, its own key, several, or what an attacker would."""

from __future__ import annotations

from enum import Enum
from random import Random

from .columns import REFERENCE, Source, name_of, tables
from .data import quoted
from .expressions import Expressions
from .keys import Keys
from .tree import Part, Seq, Value, piece


class Mode(Enum):
    """For whom a statement is."""

    TENANT = "tenant"
    """For a tenant in context; its text says nothing of tenants, most often."""
    KEYED = "keyed"
    """For the service role; its text names one tenant."""
    ACROSS = "across"
    """For the service role; about all tenants or several."""


class Tenancy(Expressions):
    """Names tables, and holds them to the tenant as the mode asks."""

    def __init__(
        self, random: Random, *, mode: Mode, tenant: int, keys: Keys, attack: bool = False
    ) -> None:
        super().__init__(random, bound=random.random() < 0.5)
        self.mode = mode
        self.tenant = tenant
        self.keys = keys
        self.tables = tables(keys.kind)
        self.attack = attack
        self.names = iter(f"x{number}" for number in range(1, 1000))

    def tenant_is(self, column: str) -> Part:
        """That a column is this statement's tenant."""
        key = self.keys.literal(self.tenant)
        argument = self.keys.argument(self.tenant)
        value = Value(key, argument, "", self.bound and self.chance(0.7))
        match self.random.randrange(14):
            case 0:
                return piece(column, " IN (", value, ")")
            case 1:
                return piece(value, " = ", column)
            case 2:
                return piece(column, f" = {quoted(self.keys.text(self.tenant))}")
            case 3:
                return piece(column, f" = {key}::{self.one_of(*self.keys.casts)}")
            case 4:
                return piece(column, " = ANY (ARRAY[", key, "])")
            case 5:
                kind = self.keys.column
                return piece(
                    column,
                    " = ANY (",
                    Value(
                        f"{self.keys.array(self.tenant)}::{kind}[]",
                        [argument],
                        f"::{kind}[]",
                        self.bound,
                    ),
                    ")",
                )
            case 6:
                return piece(column, " IS NOT DISTINCT FROM ", key)
            case _:
                return piece(column, " = ", value)

    def several(self, column: str) -> Part:
        others = sorted(self.random.sample(range(1, 9), 2))
        return piece(column, " IN (", Seq(tuple(map(self.keys.literal, others))), ")")

    def attacked(self, column: str) -> Part:
        """A condition that reaches for others, or seems to hold."""
        number = self.one_of(3, 4, 6, 7)
        other, own = self.keys.literal(number), self.keys.literal(self.tenant)
        text, array = quoted(self.keys.text(number)), self.keys.array(number)
        low, high = ("1", "9") if self.keys.kind == "int" else (self.keys.literal(1), other)
        return piece(self.one_of(
            f"{column} = {other}", f"({column} = {own} OR {column} = {other})", f"{column} <> {own}",
            f"{column} IN ({own}, {other})", f"({column} = {own} OR true)", f"{column} = {column}",
            f"NOT ({column} = {own})", f"{column} >= {low}", f"coalesce({column}, {low}) = {other}",
            f"{column} = ANY ({array})", f"({column} = {own}) IS NOT TRUE", "true",
            f"{column} BETWEEN {low} AND {high}", f"{column} = {own} IS FALSE", f"nullif({column}, {own}) = {other}",
            f"{column} IN (SELECT tenant_id FROM accounts)", f"{column} NOT IN ({own})",
            f"CASE WHEN {column} = {own} THEN false ELSE true END", f"{column}::text = lower({text})",
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

    def table(self, name: str, alias: str | None = None) -> tuple[Part, Source]:
        schema, columns, key = self.tables[name]
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
