"""`fluxshard explain`: what would happen to a statement, from the running map or without a server.

Ends with 0 when every statement was answered (a refusal is an answer), 1 when one could not be,
2 for wrong usage, 3 when the catalog or the shards cannot be reached.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final

import click

from router import Deadline, Planning, RouterError, Statement, TenantKeyInvalid
from server.cli.mapaccess import UNREACHABLE, Catalog, catalog_options
from server.cli.mapaccess import run as with_catalog
from server.cli.statement import param_option, role_option
from server.explaining.lines import LineMalformed, Lines, context_of
from server.explaining.live import open_live
from server.explaining.offline import map_of, offline_planning, planned_map
from server.explaining.refusal import refusal_of
from server.explaining.text import explanation_text
from server.sql.parameters import planned
from shardmap import InvalidMap, KeyType, ShardMap

FAILED: Final = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """What to explain: one statement, or a batch."""

    sql: str | None
    params: tuple[Any, ...]
    tenant: str | None
    role: str | None
    batch: IO[bytes] | None
    as_json: bool


@click.command()
@click.argument("sql", required=False)
@click.option("--tenant", help="Explain for somebody of this tenant.  [default: the service]")
@param_option
@role_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--batch",
    type=click.File("rb"),
    help='Explain each line of FILE: {"id","sql","params","tenant"}; - is standard input.',
)
@click.option("--offline", is_flag=True, help="Ask no database.")
@click.option(
    "--map", "map_file", type=click.File(encoding="utf-8"), help="A map, in force or not."
)
@click.option(
    "--schema",
    "schema_file",
    type=click.File(encoding="utf-8"),
    help="CREATE TABLE and CREATE VIEW statements.  [default: columns as the statement names them]",
)
@click.option("--shards", type=click.IntRange(1, 1024), help="A new map of so many shards.")
@click.option(
    "--tables",
    metavar="JSON",
    help='Its tables: {"accounts": {"sharded": "id"}, "countries": "reference"}.',
)
@click.option(
    "--key-type",
    type=click.Choice([kind.value for kind in KeyType]),
    default=KeyType.INTEGER.value,
    show_default=True,
    help="Its type of tenant keys.",
)
@catalog_options
def command(  # noqa: PLR0913 - its options
    *,
    catalog: Catalog,
    sql: str | None,
    tenant: str | None,
    params: tuple[str, ...],
    role: str | None,
    as_json: bool,
    batch: IO[bytes] | None,
    offline: bool,
    map_file: IO[str] | None,
    schema_file: IO[str] | None,
    shards: int | None,
    tables: str | None,
    key_type: str,
) -> None:
    """Show where SQL would go and why: rule, tenants, shards, texts, and how answers combine.

    SQL is a statement, or - for standard input. With --offline nothing is connected to: the map is
    --map FILE, or a new one of --shards N and --tables JSON.
    """
    if (sql is None) == (batch is None):
        raise click.UsageError("give either SQL or --batch")
    text = sys.stdin.read() if sql == "-" else sql
    asked = Asked(text, tuple(map(_value, params)), tenant, role, batch, as_json)
    if not offline:
        if any(given is not None for given in (map_file, schema_file, shards, tables)):
            raise click.UsageError("--map, --schema, --shards and --tables need --offline")
        sys.exit(_explain_live(catalog, asked))
    if (map_file is None) == (shards is None):
        raise click.UsageError("--offline needs either --map or --shards")
    shard_map = _offline_map(map_file, shards, tables, KeyType(key_type))
    try:
        declarations = schema_file.read() if schema_file is not None else None
        planning = offline_planning(shard_map, declarations)
    except UnicodeDecodeError as error:
        raise click.UsageError("--schema is not UTF-8") from error
    except RouterError as error:
        raise click.UsageError(f"--schema: {error.code}: {error.message}") from error
    sys.exit(_explain(planning, shard_map.key_type, asked))


def _offline_map(
    map_file: IO[str] | None, shards: int | None, tables: str | None, key_type: KeyType
) -> ShardMap:
    try:
        if map_file is not None:
            if tables is not None:
                raise click.UsageError("--tables goes with --shards; --map has its own")
            return planned_map(map_file.read())
        return map_of(shards or 1, tables or "{}", key_type)
    except InvalidMap as error:
        lines = "\n".join(f"{error.code} {problem}" for problem in error.problems)
        raise click.UsageError(lines) from error
    except (ValueError, RecursionError) as error:  # of UTF-8 and JSON
        source = "--map is not UTF-8" if map_file is not None else f"--tables: {error}"
        raise click.UsageError(source) from error


def _explain(planning: Planning, key_type: KeyType, asked: Asked) -> int:
    """The exit status, after everything was printed."""
    if asked.batch is not None:
        lines = Lines(planning, key_type, role=asked.role)
        for answer in lines.answers(_read(asked.batch)):
            click.echo(answer)
        return FAILED if lines.failed else 0
    _show(_document(planning, key_type, asked), asked)
    return 0


def _explain_live(catalog: Catalog, asked: Asked) -> int:
    shard_map = with_catalog(catalog.stored())
    if shard_map is None:
        raise click.UsageError("no map has been applied")
    replicas = with_catalog(catalog.replicas())

    async def work(known: ShardMap) -> int:
        async with open_live(known, catalog.environ, replicas) as live:
            if asked.batch is not None:
                return _explain(live.router, known.key_type, asked)
            document = _document(live.router, known.key_type, asked)
            document["endpoints"] = live.endpoints(document)
            _show(document, asked)
            return 0

    try:
        return asyncio.run(work(shard_map))
    except RouterError as error:
        click.echo(f"{error.code}: {error.message}", err=True)
        return UNREACHABLE


def _document(planning: Planning, key_type: KeyType, asked: Asked) -> dict[str, Any]:
    statement = Statement(asked.sql or "", planned(asked.params))
    try:
        context = context_of(asked.tenant, key_type, asked.role)
    except TenantKeyInvalid as error:
        return {**refusal_of(error), "rule": error.message, "map_epoch": 0, "tenants": []}
    except LineMalformed as error:
        raise click.UsageError(str(error)) from error
    return planning.explain(statement, context._replace(deadline=Deadline.after(60))).document()


def _show(document: dict[str, Any], asked: Asked) -> None:
    if asked.as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo(explanation_text(document), nl=False)


def _read(batch: IO[bytes]) -> Iterator[bytes]:
    for line in batch:
        yield line.removesuffix(b"\n")


def _value(given: str) -> Any:
    try:
        return json.loads(given)
    except (ValueError, RecursionError):
        return given
