"""`fluxshard sql`: one statement on the cluster of the map in force, planned as a server plans it.

Ends with 0 if it was answered, 1 when it is refused or fails, 2 for wrong usage, 3 when the
catalog or a shard cannot be reached.
"""

import asyncio
import sys
from typing import IO, Any, Final

import click

from router import (
    SESSION,
    WORDS,
    Consistency,
    RouterError,
    ShardUnavailable,
    TenantKeyInvalid,
    read_consistency,
)
from server.cli.mapaccess import UNREACHABLE, Catalog, catalog_options
from server.cli.mapaccess import run as with_catalog
from server.cli.statement import param_option, role_option
from server.errors import ServerError
from server.explaining.lines import LineMalformed, context_of
from server.explaining.live import open_live
from server.rest import exact_json
from server.sql.answering import Answering
from server.sql.print import csv_text, table_text
from server.sql.question import SNAPSHOT, Layout, Question
from shardmap import ShardMap

FAILED: Final = 1
TIMEOUT_S: Final = 300.0


@click.command()
@click.argument("sql", required=False)
@click.option("-f", "--file", "file", type=click.File(encoding="utf-8"), help="Read it from FILE.")
@click.option("--tenant", help="Run it as somebody of this tenant.  [default: the service]")
@param_option
@role_option
@click.option("--read-only", is_flag=True, help="Refuse what is not known to only read.")
@click.option("--consistency", metavar="POLICY", help=f"How fresh a read is: snapshot, {WORDS}.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as the SQL API gives it.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@catalog_options
def command(  # noqa: PLR0913 - its options
    *,
    catalog: Catalog,
    sql: str | None,
    file: IO[str] | None,
    tenant: str | None,
    params: tuple[str, ...],
    role: str | None,
    read_only: bool,
    consistency: str | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Run SQL, a statement or - for standard input, and print its rows as a table."""
    if (sql is None) == (file is None) or (as_json and as_csv):
        raise click.UsageError("give either SQL or --file, and at most one of --json and --csv")
    try:
        text = file.read() if file is not None else sys.stdin.read() if sql == "-" else sql or ""
    except UnicodeDecodeError as error:
        raise click.UsageError("the text is not UTF-8") from error
    question = Question(text, tuple(map(_value, params)))
    snapshot, policy = _policy(consistency)
    shard_map = with_catalog(catalog.stored())
    if shard_map is None:
        raise click.UsageError("no map has been applied")
    try:
        context = context_of(tenant, shard_map.key_type, role, seconds=TIMEOUT_S)
    except (LineMalformed, TenantKeyInvalid) as error:
        raise click.UsageError(f"--tenant: {error}") from error

    replicas = with_catalog(catalog.replicas())

    async def work(known: ShardMap) -> str:
        async with open_live(known, catalog.environ, replicas) as live:
            answering = Answering(live.router, live.schema, served_by=False)
            return await answering.alone(
                question,
                context._replace(read_only=read_only, snapshot=snapshot, consistency=policy),
                Layout.ROWS,
            )

    try:
        answer = asyncio.run(work(shard_map))
    except (RouterError, ServerError) as error:
        click.echo(f"{_code(error)}: {error.message}", err=True)
        if error.hint:
            click.echo(error.hint, err=True)
        sys.exit(UNREACHABLE if isinstance(error, ShardUnavailable) else FAILED)
    if as_json:
        click.echo(answer)
    else:
        found: dict[str, Any] = exact_json.loads(answer)
        click.echo(csv_text(found) if as_csv else table_text(found), nl=False)


def _policy(given: str | None) -> tuple[bool, Consistency]:
    """Whether one snapshot is asked for, and the policy."""
    if given is None or given == SNAPSHOT:
        return given == SNAPSHOT, SESSION
    policy = read_consistency(given)
    if policy is None:
        raise click.UsageError(f"--consistency must be one of snapshot, {WORDS}")
    return False, policy


def _code(error: RouterError | ServerError) -> str:
    sqlstate = getattr(error, "sqlstate", None)
    return error.code if sqlstate is None else str(sqlstate)


def _value(given: str) -> Any:
    try:
        return exact_json.loads(given)
    except (ValueError, RecursionError):
        return given
