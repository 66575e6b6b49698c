"""The audit log in the catalog: who changed what, by what, and why."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from shardmap.connection import Connection, install
from shardmap.markup import Plain

_EXISTS: Final = "select to_regclass('fluxshard.audit') is not null as present"
_INSERT: Final = """
insert into fluxshard.audit (actor, via, action, subject, reason, details)
values ($1, $2, $3, $4, $5, $6::text::jsonb)
"""
_NEWEST: Final = """
select id, at, actor, via, action, subject, reason, details::text as details
from fluxshard.audit
where id < coalesce($1::bigint, id + 1) and ($2::text is null or action like $2 || '%')
order by id desc limit $3
"""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One deed. `via` is the door it came by, `cli` or `api`; `subject` what it was done to."""

    actor: str
    via: str
    action: str
    subject: str
    reason: str
    details: Mapping[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """An entry as it is kept."""

    id: int
    at: datetime
    entry: AuditEntry


class AuditLog:
    """The log, over a connection to the catalog that somebody else owns."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def install(self) -> None:
        """Make the table where it is missing."""
        await install(self._connection, "audit.sql")

    async def note(self, entry: AuditEntry) -> None:
        """Add an entry, within the connection's transaction if there is one. `install` it before."""
        await self._connection.fetchrow(
            _INSERT,
            entry.actor,
            entry.via,
            entry.action,
            entry.subject,
            entry.reason,
            json.dumps(entry.details),
        )

    async def newest(
        self, limit: int = 100, *, before: int | None = None, action: str | None = None
    ) -> tuple[AuditRecord, ...]:
        """The newest entries first: those older than the id `before`, whose action begins so."""
        present = await self._connection.fetchrow(_EXISTS)
        if present is None or not present["present"]:
            return ()
        rows = await self._connection.fetch(_NEWEST, before, action, limit)
        return tuple(
            AuditRecord(
                row["id"],
                row["at"],
                AuditEntry(
                    row["actor"],
                    row["via"],
                    row["action"],
                    row["subject"],
                    row["reason"],
                    json.loads(row["details"]),
                ),
            )
            for row in rows
        )
