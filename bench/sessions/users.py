"""End users whose sessions write numbered rows and read the newest of them, as bytes of HTTP."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.http import Reply
from bench.sessions.guarantees import Register
from bench.workloads.points import tenants_of
from server.auth import mint
from shardmap import Placement, Sharded, ShardId, ShardMap, TableName

TABLE: Final = "entries"
TABLES: Final[Mapping[TableName, Placement]] = {
    TableName(f"public.{TABLE}"): Sharded("tenant_id"),
}
SCHEMA: Final = (
    f"CREATE TABLE {TABLE} (tenant_id int NOT NULL, author text NOT NULL,"
    " number int NOT NULL, id text NOT NULL)",
    # no key keeps an id from being there twice: whether that happens is what we want to know
    f"CREATE INDEX ON {TABLE} (tenant_id, author, number)",
    f"GRANT SELECT, INSERT ON {TABLE} TO authenticated",
)
TENANTS: Final = 200
"""Among so many tenants, those are chosen who live where they are wanted."""


def fill(shard_map: ShardMap, shard: ShardId) -> Sequence[str]:
    """The empty table, the same on each shard."""
    del shard_map, shard
    return SCHEMA


@dataclass(frozen=True, slots=True)
class Who:
    """One end user, as a generator is told of them."""

    name: str
    tenant: int
    token: str


@dataclass(slots=True)
class User:
    """One end user at work."""

    who: Who
    register: Register = field(default_factory=Register)
    position: str = ""
    """A header with what the user has seen, for those who keep it themselves."""
    _head: str = ""
    _read: bytes = b""

    def __post_init__(self) -> None:
        self._head = f" HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self.who.token}\r\n"
        self._read = self.read_with("")

    def read_with(self, headers: str) -> bytes:
        """A read with more headers, each with its end of line."""
        query = f"select=number&author=eq.{self.who.name}&order=number.desc&limit=1"
        return f"GET /rest/v1/{TABLE}?{query}{self._head}{headers}\r\n".encode()

    @property
    def read(self) -> bytes:
        """Ask for the newest of the user's rows."""
        return self._read

    def write(self, number: int, key: str, headers: str = "") -> bytes:
        """Insert the row of that number, with a unique id."""
        row = json.dumps({"author": self.who.name, "number": number, "id": key}).encode()
        return (
            f"POST /rest/v1/{TABLE}{self._head}{headers}Content-Type: application/json\r\n"
            f"Prefer: return=minimal\r\nContent-Length: {len(row)}\r\n\r\n"
        ).encode() + row


def shown(reply: Reply) -> int:
    """The number that a read shows; 0: no row."""
    rows = json.loads(reply.body)
    return int(rows[0]["number"]) if rows else 0


def role_of(served: str) -> str:
    """`replica` or `primary`, by what the API says of who answered; `?` when it says nothing."""
    begin = served.rfind("(")
    return served[begin + 1 : -1] if begin >= 0 and served.endswith(")") else "?"


def error_code(reply: Reply) -> str:
    """The code in the body of an error, or why there is no answer."""
    if reply.status == 0:
        return "silent" if reply.body == b"timeout" else "broken"
    try:
        body = json.loads(reply.body)
    except ValueError:
        return ""
    return str(body.get("code") or "") if isinstance(body, dict) else ""


def new_users(shard_map: ShardMap, shard: str, secret: str, count: int) -> list[Who]:
    """End users that nobody was before, of all tenants that live on the shard."""
    tenants = tenants_of(shard_map, ShardId(shard), TENANTS)
    mark = secrets.token_hex(4)
    found = []
    for number in range(count):
        name, tenant = f"user-{mark}-{number}", tenants[number % len(tenants)]
        claims = {"role": "authenticated", "tenant_id": tenant, "sub": name}
        found.append(Who(name, tenant, mint(claims, secret)))
    return found
