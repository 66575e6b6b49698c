"""Indexes that are built outside of a transaction: what a build that failed has left behind."""

from typing import Final

from server.migrate.deeds import Deed
from server.migrate.errors import LockNotGranted
from server.migrate.locks import quoted_name
from server.migrate.session import Session

_INDEX: Final = """
select i.indisvalid as valid, i.indrelid = to_regclass($2) as ours,
    (select p.pid from pg_catalog.pg_stat_progress_create_index p
     where p.index_relid = i.indexrelid and p.datname = current_database() limit 1) as builder
from pg_catalog.pg_index i where i.indexrelid = to_regclass($1)
"""
_THERE: Final = "select bool_or(to_regclass(name) is not null) from unnest($1::text[]) as name"


async def clear_invalid(session: Session, deed: Deed) -> bool:
    """Drop the INVALID index of the name that the statement is about to build; whether there was one.

    Raises:
        LockNotGranted: Somebody is building it at this moment.
    """
    if deed.creates is None:
        return False
    row = await session.fetchrow(_INDEX, quoted_name(deed.creates), quoted_name(deed.targets[0]))
    if row is None or row["valid"] or not row["ours"]:
        return False
    if row["builder"] is not None:
        raise LockNotGranted(f"pid {row['builder']} is building the index {deed.creates}")
    await session.execute(f"drop index concurrently if exists {quoted_name(deed.creates)}")
    return True


async def is_done(session: Session, deed: Deed) -> bool | None:
    """Whether a statement about an index, whose end nobody saw, has done its work.

    None: it is none that the catalogs tell of.
    """
    match deed.kind:
        case "create index" if deed.creates is not None:
            row = await session.fetchrow(
                _INDEX, quoted_name(deed.creates), quoted_name(deed.targets[0])
            )
            return row is not None and bool(row["valid"]) and bool(row["ours"])
        case "drop index":
            return not await session.fetchval(_THERE, [quoted_name(one) for one in deed.targets])
    return None
