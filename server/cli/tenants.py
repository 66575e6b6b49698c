"""`fluxshard tenants`: where they are and how large; taken out, brought in, deleted for good."""

import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from server.author import author
from server.catalog import catalog_session
from server.cli.mapaccess import (
    PROBLEMS,
    USAGE,
    Catalog,
    Failed,
    catalog_options,
    json_option,
    run,
)
from server.cli.maptext import columns_text
from server.cli.moving import named
from server.configuration.forms import DURATION
from server.mapchange.applying import note
from server.moves import Places, unpin_at_home
from server.tenants import deletion
from server.tenants.archive import bring_in, checked, export
from server.tenants.errors import TenantError
from server.tenants.measuring import measure, tenant_extents
from server.tenants.placing import placing
from server.tenants.sizes import Extent, Sizes, bytes_text
from shardmap import AuditEntry, ShardMap, TenantId, slot_of, tenant_id

T = TypeVar("T")

_GRACE: Final = "7d"

_reason = click.option("--reason", required=True, help="Why, for the audit log.")
_author = click.option("--author", "actor", help="Who.  [default: user@host]")
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group("tenants")
def command() -> None:
    """Tenants: list, show, export, import, delete, restore, purge.

    Ends with 0 if all is well, 1 with problems or a refusal, 2 for wrong usage, 3 when a server
    cannot be reached.
    """


@command.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@json_option
@catalog_options
def list_(*, catalog: Catalog, limit: int, as_json: bool) -> None:
    """Show the tenants that have rows, the largest first."""
    shard_map = _map(catalog)
    sizes = run(measure(shard_map, catalog.environ))
    largest = sizes.largest()[:limit]
    if as_json:
        rows = [{**placing(shard_map, one.tenant), **_extent(one.whole)} for one in largest]
        click.echo(json.dumps({"tenants": rows, **_how_counted(sizes)}, indent=2))
        return
    table = [("TENANT", "SHARD", "UNIT", "EPOCH", "ROWS", "BYTES")]
    for one in largest:
        place = placing(shard_map, one.tenant)
        whole = one.whole
        table.append(
            (
                one.tenant,
                place["shard"],
                f"{place['unit']} {place['slot']}" if place["unit"] == "slot" else "pin",
                str(place["unit_epoch"]),
                f"{whole.rows:,}",
                bytes_text(whole.bytes),
            )
        )
    click.echo(columns_text(table), nl=False)
    if len(sizes.tenants) > limit:
        click.echo(f"… and {len(sizes.tenants) - limit} more")
    if sizes.sampled:
        click.echo("rows are estimated from samples of the largest tables", err=True)
    for what in sizes.unknown:
        click.echo(f"not counted: {what}", err=True)


@command.command()
@click.argument("tenant")
@json_option
@catalog_options
def show(*, catalog: Catalog, tenant: str, as_json: bool) -> None:
    """Show where TENANT is, and its rows by table, counted exactly."""
    shard_map = _map(catalog)
    key = _key(shard_map, tenant)
    tables = run(tenant_extents(shard_map, catalog.environ, key))
    place = placing(shard_map, key)
    if as_json:
        found = {table: _extent(extent) for table, extent in tables.items()}
        click.echo(json.dumps({**place, "tables": found}, indent=2))
        return
    click.echo(
        f"tenant {key} on {place['shard']}, by its {place['unit']} (slot {place['slot']},"
        f" epoch {place['unit_epoch']})"
    )
    rows = [("TABLE", "ROWS", "BYTES")]
    rows += [(table, f"{one.rows:,}", bytes_text(one.bytes)) for table, one in tables.items()]
    click.echo(columns_text(rows), nl=False)


@command.command("export")
@click.argument("tenant")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@catalog_options
def export_(*, catalog: Catalog, tenant: str, file: Path) -> None:
    """Write all rows of TENANT into one archive, of one snapshot."""
    shard_map = _map(catalog)
    key = _key(shard_map, tenant)
    try:
        manifest = _run(export(shard_map, catalog.environ, key, file))
    except OSError as error:
        raise Failed([f"{file}: {error.strerror}"], USAGE) from error
    subject, rows = f"tenant {key}", sum(one.rows for one in manifest.tables)
    run(note(catalog, AuditEntry(author(), "cli", "tenant export", subject, "", {"rows": rows})))
    click.echo(f"{rows} rows of {len(manifest.tables)} tables, schema {manifest.fingerprint[:12]}")


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Only check the archive, without any server.")
@click.option("--reason", default="", help="Why, for the audit log.")
@catalog_options
def import_(*, catalog: Catalog, file: Path, check: bool, reason: str) -> None:
    """Insert an archive's rows at the home of its tenant: all, or nothing.

    The tables have to have its columns with their types, and the tenant no rows.
    """
    if check:
        manifest = _run(_checked(file))
        rows = sum(one.rows for one in manifest.tables)
        click.echo(f"tenant {manifest.tenant}, {rows} rows, of {manifest.exported_at}")
        return
    shard_map = _map(catalog)
    done = _run(bring_in(shard_map, catalog.environ, file))
    tenant = _run(_checked(file)).tenant
    rows = sum(done.values())
    entry = AuditEntry(author(), "cli", "tenant import", f"tenant {tenant}", reason, {"rows": rows})
    run(note(catalog, entry))
    click.echo(f"{rows} rows of tenant {tenant} on {shard_map.owner(tenant)}")


@command.command()
@click.argument("tenant")
@click.option(
    "--grace", default=_GRACE, show_default=True, metavar="DURATION", help="0: due at once."
)
@_reason
@_author
@catalog_options
def delete(*, catalog: Catalog, tenant: str, grace: str, reason: str, actor: str | None) -> None:
    """Have TENANT deleted by the first purge after a time of grace.

    Until then it is served as before, and `tenants restore` withdraws it.
    """
    key, grace_s = _key(_map(catalog), tenant), _seconds(grace)
    who = actor or author()

    async def work() -> str:
        async with catalog_session(catalog.endpoints, catalog.environ, writable=True) as session:
            due = await deletion.ask(session, key, grace_s, actor=who, reason=reason)
        await note(catalog, AuditEntry(who, "cli", "tenant delete", f"tenant {key}", reason))
        return due.isoformat(sep=" ", timespec="seconds")

    click.echo(
        f"tenant {key} is deleted by the first `fluxshard tenants purge` after {run(work())}"
    )


@command.command()
@click.argument("tenant")
@_reason
@_author
@catalog_options
def restore(*, catalog: Catalog, tenant: str, reason: str, actor: str | None) -> None:
    """Withdraw that TENANT is to be deleted."""
    key = _key(_map(catalog), tenant)
    who = actor or author()

    async def work() -> bool:
        async with catalog_session(catalog.endpoints, catalog.environ, writable=True) as session:
            found = await deletion.withdraw(session, key)
        if found:
            await note(catalog, AuditEntry(who, "cli", "tenant restore", f"tenant {key}", reason))
        return found

    if not run(work()):
        raise Failed([f"tenant {key} is not to be deleted"], PROBLEMS)
    click.echo(f"tenant {key} stays")


@command.command()
@_yes
@_author
@json_option
@catalog_options
def purge(*, catalog: Catalog, yes: bool, actor: str | None, as_json: bool) -> None:
    """Delete for good the tenants whose time of grace is over, with their pins."""
    shard_map, who = _map(catalog), actor or author()

    async def listed() -> tuple[deletion.Deletion, ...]:
        async with catalog_session(catalog.endpoints, catalog.environ, writable=False) as session:
            return await deletion.asked(session)

    waiting = run(listed())
    due = [one for one in waiting if one.due]
    if not as_json:
        for one in waiting:
            state = "due" if one.due else f"not before {one.due_at:%Y-%m-%d %H:%M}"
            click.echo(f"tenant {one.tenant}: {state} ({one.actor}: {one.reason})")
    if due and not yes:
        click.confirm(f"Delete {len(due)} tenants for good?", abort=True)
    done = [_purged(catalog, shard_map, one, who) for one in due]
    if as_json:
        click.echo(json.dumps(done, indent=2))
    for found in done if not as_json else ():
        click.echo(f"tenant {found['tenant']}: {found['rows']} rows deleted")


def _purged(
    catalog: Catalog, shard_map: ShardMap, one: deletion.Deletion, who: str
) -> dict[str, Any]:
    tables = _run(deletion.delete_rows(shard_map, catalog.environ, one.tenant))
    rows = sum(tables.values())

    async def forget() -> None:
        pin = shard_map.pins.get(one.tenant)
        if pin is not None and pin.shard == shard_map.slots[slot_of(one.tenant)]:
            places = Places(shard_map, catalog.environ)
            await unpin_at_home(places, one.tenant, author=who, reason="its tenant is deleted")
        subject = f"tenant {one.tenant}"
        await note(
            catalog, AuditEntry(who, "cli", "tenant purge", subject, one.reason, {"rows": rows})
        )
        async with catalog_session(catalog.endpoints, catalog.environ, writable=True) as session:
            await deletion.withdraw(session, one.tenant)

    named(forget())
    return {"tenant": one.tenant, "rows": rows, "tables": dict(tables)}


async def _checked(file: Path) -> Any:
    return checked(file)


def _run(work: Coroutine[object, object, T]) -> T:
    """The result; errors of tenants and moves end the command by name."""
    try:
        return named(work)
    except TenantError as error:
        raise Failed([f"{error.code} {line}" for line in error.lines], PROBLEMS) from error


def _map(catalog: Catalog) -> ShardMap:
    found = run(catalog.stored())
    if found is None:
        raise Failed(["no map has been applied"], PROBLEMS)
    return found


def _key(shard_map: ShardMap, text: str) -> TenantId:
    async def work() -> TenantId:
        return tenant_id(shard_map.key_type, text)

    return run(work())


def _seconds(text: str) -> float:
    days = text.removesuffix("d")
    try:
        return float(days) * 86_400 if text.endswith("d") else DURATION.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--grace") from error


def _extent(extent: Extent) -> dict[str, int]:
    return {"rows": extent.rows, "bytes": extent.bytes}


def _how_counted(sizes: Sizes) -> dict[str, Any]:
    return {
        "count": len(sizes.tenants),
        "sampled": sizes.sampled,
        "not_counted": list(sizes.unknown),
    }
