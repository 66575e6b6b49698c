"""`fluxshard migrate`: the schema of every database of a cluster, from one directory of files.

Ends with 0 if all is well, 1 with a refusal, a failure or drift, 2 for wrong usage, 3 when a
database cannot be reached.
"""

import json
import sys
from typing import IO, Any

import click

from server.cli.mapaccess import json_option
from server.cli.migratesource import REFUSED, Source, changing_options, run, source_options
from server.cli.migratetext import (
    checked_document,
    findings_text,
    plan_document,
    plan_text,
    progress_text,
    status_document,
    status_text,
)
from server.migrate import operations
from server.migrate.apply import Progress
from server.migrate.directory import read_directory
from server.migrate.findings import Finding
from server.migrate.operations import Options, Planned
from shardmap import read_map


@click.group("migrate")
def command() -> None:
    """Apply SQL migrations to the catalog and every shard.

    Each statement runs where the shard map places its tables; each database keeps a ledger. Ends
    with 0 if all is well, 1 with a refusal, a failure or drift, 2 for wrong usage, 3 when a
    database cannot be reached. The files are described in docs/migrations.md.
    """


@command.command()
@json_option
@source_options
def status(*, source: Source, as_json: bool) -> None:
    """Show which database has which version."""

    async def work() -> tuple[dict[str, Any], str, tuple[str, ...]]:
        site = await source.site(change=False)
        found = await operations.survey(site)
        document = status_document(site.migrations, found)
        return document, status_text(site.migrations, found), found.problems

    document, text, problems = run(work())
    click.echo(json.dumps(document, indent=2) if as_json else text, nl=as_json)
    _end_with(() if as_json else problems, failed=bool(problems))


@command.command()
@click.option("--to", type=click.IntRange(min=0), metavar="VERSION", help="The last version.")
@changing_options
@json_option
@source_options
def up(*, source: Source, options: Options, dry_run: bool, as_json: bool) -> None:
    """Apply what is pending, version by version, in the catalog and on every shard."""
    _migrate(source, options, None, dry_run=dry_run, as_json=as_json)


@command.command()
@click.argument("count", metavar="[N]", type=click.IntRange(min=1), default=1)
@click.option("--yes", is_flag=True, help="Do not ask.")
@changing_options
@json_option
@source_options
def down(  # noqa: PLR0913 - one parameter per option
    *, source: Source, options: Options, count: int, yes: bool, dry_run: bool, as_json: bool
) -> None:
    """Undo the newest N versions, one if N is left out, with their down files."""
    if not dry_run and not yes:
        plan = run(_planned(source, options, count))
        click.echo(plan_text(plan), nl=False, err=as_json)
        if not plan.works:
            return
        click.confirm("Run this?", abort=True, err=as_json)
    _migrate(source, options, count, dry_run=dry_run, as_json=as_json)


@command.command()
@click.option("--to", type=click.IntRange(min=0), metavar="VERSION", help="The last version.")
@json_option
@source_options
def plan(*, source: Source, to: int | None, as_json: bool) -> None:
    """Show what `up` would run where."""
    _migrate(source, Options(to), None, dry_run=True, as_json=as_json)


@command.command()
@click.option("--map", "file", type=click.File(encoding="utf-8"), help="Ask this map, no database.")
@click.option("--after", type=click.IntRange(min=0), metavar="VERSION",
              help="With --map: only later files, which are applied together.")  # fmt: skip
@click.option("--allow", multiple=True, metavar="CODE", help="Accept this finding.")
@json_option
@source_options
def lint(
    *,
    source: Source,
    file: IO[str] | None,
    after: int | None,
    allow: tuple[str, ...],
    as_json: bool,
) -> None:
    """Tell what of the pending files breaks running code, stops traffic or mixes tenants."""
    if after is not None and file is None:
        raise click.UsageError(
            "--after goes with --map: without it, the ledgers say what is pending"
        )

    async def work() -> tuple[Finding, ...]:
        if file is None:
            options = Options(allow=frozenset(allow))
            return await operations.pending_findings(await source.site(change=False), options)
        shard_map = read_map(file.read(), None)
        migrations = read_directory(source.path(source.settings))
        return operations.offline_findings(shard_map, migrations, after=after, allow=allow)

    found = run(work())
    if as_json:
        click.echo(json.dumps([finding.document() for finding in found], indent=2))
    else:
        for line in findings_text(found) or ["nothing found"]:
            click.echo(line)
    _end_with((), failed=any(finding.blocks for finding in found))


@command.command()
@click.argument("version", type=click.IntRange(min=0))
@click.option("--yes", is_flag=True, help="Do not ask.")
@source_options
def baseline(*, source: Source, version: int, yes: bool) -> None:
    """Note all versions up to VERSION as applied, without running them.

    For databases whose tables were made by other tools.
    """
    if not yes:
        click.confirm(f"Are all versions up to {version} in all databases already?", abort=True)

    async def work() -> tuple[str, ...]:
        noted = await operations.baseline(await source.site(change=True), version, 0)
        return tuple(map(str, noted))

    lines = [f"{name}  noted as applied" for name in run(work())]
    click.echo("\n".join(lines) or "nothing to do")


@command.command()
@json_option
@source_options
def check(*, source: Source, as_json: bool) -> None:
    """Compare the schemas of all shards, thing by thing. Ends with 1 when they differ."""

    async def work() -> Any:
        return await operations.check(await source.site(change=False, files=False))

    found = run(work())
    if as_json:
        click.echo(json.dumps(checked_document(found), indent=2))
    elif not found.drifted:
        click.echo("all shards have the same schema")
    lines = [*map(str, found.differences), *found.problems]
    _end_with(() if as_json else lines, failed=found.drifted)


async def _planned(source: Source, options: Options, down: int | None) -> Planned:
    return await operations.planned(await source.site(change=False), options, down)


def _migrate(
    source: Source, options: Options, down: int | None, *, dry_run: bool, as_json: bool
) -> None:
    def report(progress: Progress) -> None:
        line = progress_text(progress)
        if line is not None:
            click.echo(line, err=as_json)

    async def work() -> Planned:
        return await operations.migrate(await source.site(change=True), options, report, down)

    done = run(_planned(source, options, down)) if dry_run else run(work())
    for line in findings_text(done.findings):
        click.echo(line, err=True)
    if as_json:
        click.echo(json.dumps(plan_document(done), indent=2))
    elif dry_run or not done.works:
        click.echo(plan_text(done), nl=False)
    _end_with((), failed=any(finding.blocks for finding in done.findings))


def _end_with(lines: tuple[str, ...] | list[str], *, failed: bool) -> None:
    for line in lines:
        click.echo(line, err=True)
    if failed:
        sys.exit(REFUSED)
