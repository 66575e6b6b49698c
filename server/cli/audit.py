"""`fluxshard audit`: who changed what, by which door, and why."""

import json
from dataclasses import asdict

import click

from server.catalog import catalog_session
from server.cli.mapaccess import Catalog, catalog_options, json_option, run
from server.cli.maptext import columns_text
from shardmap import AuditLog, AuditRecord


@click.command("audit")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@click.option("--action", help="Only deeds whose name begins so, like map or tenant.")
@json_option
@catalog_options
def command(*, catalog: Catalog, limit: int, action: str | None, as_json: bool) -> None:
    """List what operators did, the newest first: maps, moves, shards and tenants."""

    async def work() -> tuple[AuditRecord, ...]:
        async with catalog_session(catalog.endpoints, catalog.environ, writable=False) as session:
            return await AuditLog(session).newest(limit, action=action)

    records = run(work())
    if as_json:
        click.echo(json.dumps([audit_document(one) for one in records], indent=2))
        return
    rows = [("AT", "ACTOR", "VIA", "ACTION", "SUBJECT", "REASON")]
    rows += [
        (
            one.at.isoformat(sep=" ", timespec="seconds"),
            one.entry.actor,
            one.entry.via,
            one.entry.action,
            one.entry.subject,
            one.entry.reason,
        )
        for one in records
    ]
    click.echo(columns_text(rows), nl=False)


def audit_document(record: AuditRecord) -> dict[str, object]:
    """A record for programs."""
    return {"id": record.id, "at": record.at.isoformat(), **asdict(record.entry)}
