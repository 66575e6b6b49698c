"""A tenant's rows out of its shard into one file, and from such a file into the shard of its home.

The file is a zip: `manifest.json`, and each table's rows in COPY's text format, which every
PostgreSQL reads. Rows are of one snapshot; they come in all together, or not at all.
"""

import hashlib
import zipfile
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

import asyncpg

from server.catalog import Session
from server.primaries import primary_session
from server.tenants.errors import ArchiveUnusable, TenantRefused
from server.tenants.manifest import NAME, Manifest, TableRows, read_manifest, schema_problems
from server.tenants.measuring import key_is, quoted, quoted_table, see_all
from server.tenants.sequences import raise_sequences
from server.tenants.tables import columns_of, enter, sharded_here
from shardmap import Sharded, ShardMap, TableName, TenantId

_PIECE_BYTES: Final = 1 << 18


async def export(
    shard_map: ShardMap, environ: Mapping[str, str], tenant: TenantId, path: Path
) -> Manifest:
    """Write the tenant's archive; an existing file is not overwritten.

    Raises:
        FileExistsError: There is a file.
        MapUnavailable: The tenant's shard does not answer.
    """
    with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as archive:
        async with (
            primary_session(shard_map, shard_map.owner(tenant), environ) as session,
            session.transaction(isolation="repeatable_read", readonly=True),
        ):
            tables = [
                await _exported(session, archive, shard_map, table, key, tenant)
                for table, key in (await sharded_here(session, shard_map)).items()
            ]
        manifest = Manifest(
            tenant=tenant,
            key_type=shard_map.key_type,
            cluster_id=shard_map.cluster_id,
            map_epoch=shard_map.epoch,
            exported_at=datetime.now(UTC).isoformat(timespec="seconds"),
            tables=tuple(tables),
        )
        archive.writestr(NAME, manifest.write())
    return manifest


def checked(path: Path) -> Manifest:
    """The manifest of an archive whose checksums hold.

    Raises:
        ArchiveUnusable: The file is no archive, or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = read_manifest(archive.read(NAME))
            for one in manifest.tables:
                digest = hashlib.sha256()
                with archive.open(one.member) as rows:
                    while piece := rows.read(_PIECE_BYTES):
                        digest.update(piece)
                found = digest.hexdigest()
                if found != one.sha256:
                    raise ArchiveUnusable(f"{one.member}: the checksum does not hold")
    except (zipfile.BadZipFile, KeyError, OSError, EOFError) as error:
        raise ArchiveUnusable(f"{path}: {error}") from error
    return manifest


async def bring_in(
    shard_map: ShardMap, environ: Mapping[str, str], path: Path
) -> Mapping[TableName, int]:
    """Insert an archive's rows at the home that its tenant has here; rows by table.

    Raises:
        ArchiveUnusable: The file is no archive, is damaged, or has rows of somebody else.
        TenantRefused: The tenant has rows here, or the tables do not fit.
        MapUnavailable: The shard does not answer.
    """
    manifest = checked(path)
    if manifest.key_type is not shard_map.key_type:
        raise TenantRefused([f"tenant keys are {shard_map.key_type}, not {manifest.key_type}"])
    home = shard_map.owner(manifest.tenant)
    done: dict[TableName, int] = {}
    with zipfile.ZipFile(path) as archive:
        async with primary_session(shard_map, home, environ) as session:
            try:
                async with session.transaction():
                    await enter(session, shard_map, manifest.tenant)
                    keys = await _fitting(session, shard_map, manifest)
                    tables = {one.table: one for one in manifest.tables if one.rows}
                    for table in (table for table in keys if table in tables):
                        with archive.open(tables[table].member) as member:
                            done[table] = await _inserted(
                                session, shard_map, manifest.tenant, tables[table], _pieces(member)
                            )
                    filled = {table: key for table, key in keys.items() if table in done}
                    await raise_sequences(session, shard_map, manifest.tenant, filled)
            except asyncpg.IntegrityConstraintViolationError as error:
                raise TenantRefused([f"{error}: {error.detail or ''}"]) from error
    return done


async def _pieces(member: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := member.read(_PIECE_BYTES):
        yield piece


async def _exported(  # noqa: PLR0913, PLR0917 - from where, what, to where
    session: Session,
    archive: zipfile.ZipFile,
    shard_map: ShardMap,
    table: TableName,
    key: str,
    tenant: TenantId,
) -> TableRows:
    columns = await columns_of(session, table)
    listed = ", ".join(quoted(column.name) for column in columns)
    query = f"select {listed} from {quoted_table(table)} where {key_is(key, shard_map)}"  # noqa: S608 - quoted
    digest, size = hashlib.sha256(), 0
    await see_all(session, table)
    empty = TableRows(table, key, columns, 0, 0, "")
    with archive.open(empty.member, "w", force_zip64=True) as member:

        async def keep(data: bytes) -> None:
            nonlocal size
            size += len(data)
            digest.update(data)
            member.write(data)

        done = await session.copy_from_query(query, tenant, output=keep)
    rows = int(done.rpartition(" ")[2])
    return TableRows(table, key, columns, rows, size, digest.hexdigest())


async def _fitting(
    session: Session, shard_map: ShardMap, manifest: Manifest
) -> Mapping[TableName, str]:
    """The tables here, in the order of filling, if the archive fits and the tenant has no rows."""
    keys = await sharded_here(session, shard_map)
    here = {table: await columns_of(session, table) for table in keys}
    problems = list(schema_problems(manifest, here, keys))
    filled = {one.table for one in manifest.tables if one.rows}
    for table, key in keys.items():
        query = f"select exists (select from {quoted_table(table)} where {key_is(key, shard_map)})"  # noqa: S608 - quoted
        await see_all(session, table)
        if await session.fetchval(query, manifest.tenant):
            problems.append(f"{table}: the tenant has rows already")
        placement = shard_map.tables[table]
        if table in filled and isinstance(placement, Sharded) and placement.global_unique:
            problems.append(f"{table}: has globally unique columns, which imports do not keep")
    if problems:
        raise TenantRefused(problems)
    return keys


async def _inserted(
    session: Session,
    shard_map: ShardMap,
    tenant: TenantId,
    one: TableRows,
    rows: AsyncIterator[bytes],
) -> int:
    """The rows of one table, read into a temporary one and looked at before they are inserted."""
    name, listed = quoted_table(one.table), ", ".join(quoted(one.name) for one in one.columns)
    await session.execute("set local role none")
    await session.execute("drop table if exists pg_temp.fluxshard_arriving")
    copied = f"select {listed} from {name} limit 0"  # noqa: S608 - quoted
    await session.execute(f"create temporary table fluxshard_arriving on commit drop as {copied}")
    await session.copy_to_table(
        "fluxshard_arriving",
        schema_name="pg_temp",
        source=rows,
        columns=[column.name for column in one.columns],
    )
    mine = key_is(one.key, shard_map)
    foreign = f"select exists (select from pg_temp.fluxshard_arriving where ({mine}) is not true)"  # noqa: S608 - quoted
    if await session.fetchval(foreign, tenant):
        raise ArchiveUnusable(f"{one.member}: holds rows of another tenant than {tenant}")
    await session.execute("grant select on pg_temp.fluxshard_arriving to public")
    await see_all(session, one.table)
    arrived = f"select {listed} from pg_temp.fluxshard_arriving"  # noqa: S608 - quoted
    done = await session.execute(f"insert into {name} ({listed}) overriding system value {arrived}")
    return int(done.rpartition(" ")[2])
