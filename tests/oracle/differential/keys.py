"""Tenant keys of three types: whole numbers, uuids, and texts that differ in what is easily lost."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from shardmap import KeyType, TenantId, tenant_id

from .data import quoted


@dataclass(frozen=True, slots=True)
class Keys:
    """How the keys of tenants 1 to 8 look. `kind` is that of their columns."""

    name: str
    kind: str
    column: str
    casts: tuple[str, ...]
    key_type: KeyType
    texts: tuple[str, ...]

    def text(self, tenant: int) -> str:
        """As PostgreSQL reads it."""
        return self.texts[tenant - 1]

    def argument(self, tenant: int) -> object:
        """As the driver takes it."""
        text = self.text(tenant)
        return {"int": int, "uuid": uuid.UUID, "text": str}[self.kind](text)

    def literal(self, tenant: int) -> str:
        """As it stands in a statement, with its type."""
        if self.kind == "int":
            return self.text(tenant)
        return quoted(self.text(tenant)) + ("::uuid" if self.kind == "uuid" else "")

    def id(self, tenant: int) -> TenantId:
        return tenant_id(self.key_type, self.text(tenant))

    def array(self, tenant: int) -> str:
        """An array of this key alone."""
        escaped = self.text(tenant).replace("\\", "\\\\").replace('"', '\\"')
        return quoted(f'{{"{escaped}"}}')


WHOLE = Keys(
    "int", "int", "int", ("int", "bigint"), KeyType.INTEGER, tuple(str(n) for n in range(1, 9))
)
UUIDS = Keys(
    "uuid",
    "uuid",
    "uuid",
    ("uuid",),
    KeyType.UUID,
    tuple(f"A0EEBC99-9c0b-4ef8-bb6d-00000000000{number}" for number in range(1, 9)),
)
TEXTS = Keys(
    "text",
    "text",
    "text",
    ("text", "varchar"),
    KeyType.TEXT,
    ("a", "A", "a ", "o'x", "ä", "7", "07", '"q\\'),
)
STYLES = {keys.name: keys for keys in (WHOLE, UUIDS, TEXTS)}


def style_of(number: int) -> Keys:
    """The keys of a statement: one in four has uuids or texts."""
    return {0: UUIDS, 4: TEXTS}.get(number % 8, WHOLE)
