"""What a database needs to become a shard: our functions, the tables, and the reference rows."""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Final

import asyncpg

from router import check_prepared_transactions, prepare_database
from server.catalog import Session, connected, recovering
from server.joining.errors import JoinRefused, SchemaNotCopied
from server.joining.schema import dumped_schema
from server.moves import MoveAway, Places
from server.primaries import primary_session
from server.tenants.measuring import absent, quoted, quoted_table, see_all
from shardmap import (
    Global,
    MapUnavailable,
    Placement,
    Reference,
    Shard,
    Sharded,
    ShardMap,
    TableName,
    read_identity,
    resolve,
)

SETTLE_S: Final = 12.0
"""After the map names the shard: until every instance has it, even one that heard no notification
and looks every five seconds. Reference rows written meanwhile by an older map are copied then."""
_LEDGER: Final = "fluxshard.migrations"
_COLUMNS: Final = """
select attname::text from pg_catalog.pg_attribute
where attrelid = pg_catalog.to_regclass($1) and attnum > 0 and not attisdropped
    and attgenerated = '' order by attnum
"""
_DIGEST: Final = (
    "select count(*) as rows, coalesce(sum(pg_catalog.hashtextextended(t.*::text, 0)::numeric), 0)"
    " as digest from {table} t"
)


async def join(
    shard_map: ShardMap, shard: Shard, environ: Mapping[str, str], exposed: Sequence[str]
) -> tuple[str, ...]:
    """Make the shard's database ready, and say what was done. Safe to repeat.

    `shard_map` is the map that names the shard already, with its number.

    Raises:
        JoinRefused: Its server is not fit, or somebody else's.
        SchemaNotCopied: The tables could not be made.
        MapUnavailable: It, or the shard that is taken as the model, does not answer.
        CredentialsUnavailable: A login cannot be found.
        DatabaseNotPrepared, PreparedTransactionsOff, NumberTaken: See `prepare_database`.
    """
    model = next(one for one in shard_map.shards.values() if one.id in shard_map.homes)
    done = []
    async with connected(shard.primary, environ, statement_timeout_s=None) as session:
        await _check(session, shard, shard_map)
        host, port, database = shard.primary.address
        await prepare_database(
            session,
            exposed=exposed,
            name=f"{shard.primary.name} ({host}:{port}/{database})",
            number=shard_map.number(shard.id),
        )
        done.append("roles, functions and its number")
        async with primary_session(shard_map, model.id, environ) as source:
            missing = await _missing(source, session, shard_map)
            if missing:
                text = await _dumped(shard_map, model, environ)
                await _make(session, text)
                await _copy_ledger(source, session)
                await prepare_database(session, exposed=exposed, name=shard.primary.name)
                done.append(f"the schema of {model.id}: {', '.join(missing)}")
            await _refuse_rows(session, shard_map)
            tables = [one for one in _placed(shard_map, Reference) if not await absent(source, one)]
            done += [f"{await _refill(source, session, one)} rows of {one}" for one in tables]
    return tuple(done)


async def settle_reference_tables(
    shard_map: ShardMap, shard: Shard, environ: Mapping[str, str], *, after_s: float = SETTLE_S
) -> tuple[TableName, ...]:
    """Once the map is in force everywhere: copy again what was written by older maps; which it was.

    Each table is compared, and copied if it differs, while nobody can write it.

    Raises:
        MapUnavailable: The shard, or the one taken as the model, does not answer.
    """
    tables = _placed(shard_map, Reference)
    if not tables:
        return ()
    await asyncio.sleep(after_s)
    model = next(one for one in shard_map.shards.values() if one.id != shard.id)
    differing = []
    async with (
        primary_session(shard_map, model.id, environ) as source,
        primary_session(shard_map, shard.id, environ) as session,
    ):
        for table in tables:
            if await absent(source, table):
                continue
            async with source.transaction():
                await source.execute(f"lock table {quoted_table(table)} in share mode")
                if await _digest(source, table) != await _digest(session, table):
                    await _refill(source, session, table)
                    differing.append(table)
    return tuple(differing)


async def _check(session: Session, shard: Shard, shard_map: ShardMap) -> None:
    if await recovering(session):
        raise JoinRefused(f"{shard.primary.name} is a replica: name its primary")
    found = await read_identity(session)
    if found is not None and (found.cluster_id, found.shard_id) != (shard_map.cluster_id, shard.id):
        raise JoinRefused(
            f"{shard.primary.name} is {found.shard_id} of cluster {found.cluster_id} already"
        )
    if await session.fetchval("show wal_level") != "logical":
        raise JoinRefused(
            f"{shard.primary.name} has not wal_level = logical, without which no tenant moves there"
        )
    await check_prepared_transactions(session, shard.primary.name)


async def _missing(source: Session, session: Session, shard_map: ShardMap) -> list[TableName]:
    """Tables of the map that the model has and the new shard has not."""
    return [
        table
        for table, placement in shard_map.tables.items()
        if not isinstance(placement, Global)
        and not await absent(source, table)
        and await absent(session, table)
    ]


async def _dumped(shard_map: ShardMap, model: Shard, environ: Mapping[str, str]) -> str:
    try:
        primary = await Places(shard_map, environ).endpoint(model.id)
    except MoveAway as error:
        raise MapUnavailable(str(error)) from error
    return await dumped_schema(primary, resolve(primary, environ))


async def _make(session: Session, text: str) -> None:
    """Run the schema, all of it or nothing."""
    try:
        async with session.transaction():
            await session.execute(text)
    except asyncpg.PostgresError as error:
        raise SchemaNotCopied(f"the schema cannot be made there: {error}") from error
    finally:
        await session.execute("reset all")  # pg_dump empties the search_path


async def _copy_ledger(source: Session, session: Session) -> None:
    """Which migrations the schema has, so that `fluxshard migrate` does not make it again."""
    if await source.fetchval("select pg_catalog.to_regclass($1) is null", _LEDGER):
        return
    rows = await source.fetch(f"select to_jsonb(m)::text as row from {_LEDGER} m")  # noqa: S608 - a constant
    async with session.transaction():
        await session.execute(files("server.migrate").joinpath("ledger.sql").read_text())
        await session.execute(f"delete from {_LEDGER}")  # noqa: S608 - a constant
        for row in rows:
            await session.execute(
                f"insert into {_LEDGER}"  # noqa: S608 - a constant
                f" select * from jsonb_populate_record(null::{_LEDGER}, $1::text::jsonb)",
                row["row"],
            )


async def _refuse_rows(session: Session, shard_map: ShardMap) -> None:
    """A shard joins without tenants: rows that are there belong to nobody."""
    for table in _placed(shard_map, Sharded):
        if await absent(session, table):
            continue
        async with session.transaction(readonly=True):
            await see_all(session, table)
            query = f"select exists (select from {quoted_table(table)})"  # noqa: S608 - quoted
            if await session.fetchval(query):
                raise JoinRefused(f"{table} has rows there: a shard joins without any")


async def _refill(source: Session, session: Session, table: TableName) -> int:
    """Make the copy equal: all rows anew, in one transaction."""
    name = quoted_table(table)
    schema, _, relation = table.partition(".")
    rows = await source.fetch(_COLUMNS, name)
    columns = [row["attname"] for row in rows]
    listed = ", ".join(quoted(column) for column in columns)
    with tempfile.TemporaryFile() as copied:
        await source.copy_from_query(f"select {listed} from {name}", output=copied)  # noqa: S608 - quoted
        copied.seek(0)
        async with session.transaction():
            await session.execute(f"delete from {name}")  # noqa: S608 - quoted
            done = await session.copy_to_table(
                relation, schema_name=schema, source=copied, columns=columns
            )
    return int(done.rpartition(" ")[2])


async def _digest(session: Session, table: TableName) -> tuple[int, int]:
    row = await session.fetchrow(_DIGEST.format(table=quoted_table(table)))
    return (row["rows"], int(row["digest"])) if row is not None else (0, 0)


def _placed(shard_map: ShardMap, kind: type[Placement]) -> list[TableName]:
    return [table for table, one in shard_map.tables.items() if isinstance(one, kind)]
