"""OpenAPI 3.1 of the whole API: what every door answers, as far as the caller may know."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from router import Documentation, Schema
from server.openapi.answers import (
    PARAMETERS,
    SECURITY,
    SECURITY_SCHEMES,
    error_schemas,
    response_components,
)
from server.openapi.of_doors import SCHEMAS, other_paths, procedure_path, routine_path, sql_path
from server.openapi.of_tables import TABLE_PARAMETERS, filters, table_paths
from server.openapi.schemas import table_schemas
from server.openapi.shown import Mode, Shown, TenantColumn, shown
from server.routes import Route

Json = dict[str, Any]

_DESCRIPTION: Final = """\
One API over many PostgreSQL servers: rows belong to tenants, and each tenant lives on one shard. Clients need not know.

**Who asks** is said by a token (`Authorization: Bearer`), a key (`apikey`) or a service key. **The tenant** is a claim of the
token; a service key names one by `X-Tenant-ID`, or asks all shards at once. What cannot be answered from several shards is
refused by name, with a hint how to ask it of one.

Rows are served in two dialects: `/api/v1/tables`, and `/rest/v1` for clients of PostgREST and Supabase. Where a read
has `select`, its rows have the columns that are named there.

**503** always means that nothing was changed, and may be repeated after `Retry-After`. `COMMIT_UNKNOWN` (500) may be repeated
only with the `Idempotency-Key` that the first request had."""


def whole(
    seen: Sequence[Shown],
    exposed: Sequence[str],
    *,
    version: str,
    routes: Iterable[Route],
    procedures: Iterable[dict[str, Any]],
) -> Json:
    """The document. `seen` are the schemas as the caller may use them.

    Without tables and functions, their paths are described once for all.
    """
    tables = [table for each in seen for table in each.tables]
    routines = seen[0].routines if seen else ()
    described = [
        *(("/api/v1/tables/{", "/rest/v1/{") if tables else ()),
        *(("/rest/v1/rpc/",) if routines else ()),
    ]
    routes = tuple(routes)
    paths: dict[str, Json] = {}
    for table in tables:
        paths |= table_paths(table, exposed)
    paths |= map(routine_path, routines)
    paths |= map(procedure_path, procedures)
    if any(route.template == "/api/v1/sql" for route in routes):
        paths |= [sql_path()]
    for template, operations in other_paths(routes, described):
        paths[template] = operations | paths.get(template, {})
    schemas: dict[str, Json] = error_schemas() | SCHEMAS
    parameters: dict[str, Json] = PARAMETERS | TABLE_PARAMETERS
    for table in tables:
        schemas |= table_schemas(table)
        parameters |= filters(table)
    document: Json = {
        "openapi": "3.1.0",
        "info": {"title": "Fluxshard", "version": version, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": SECURITY,
        "tags": _tags(seen, paths.values()),
        "paths": paths,
        "components": {
            "securitySchemes": SECURITY_SCHEMES,
            "schemas": schemas,
            "parameters": parameters,
            "responses": dict(response_components()),
        },
    }
    if differing := dict(pair for each in seen for pair in each.differing):
        document["x-shards-differ"] = differing
    return document


def _tags(seen: Sequence[Shown], paths: Iterable[Json]) -> list[Json]:
    comments = {
        f"{table.schema}.{table.relation}": table.comment for each in seen for table in each.tables
    }
    used: dict[str, None] = {}
    for path in paths:
        for operation in path.values():
            if isinstance(operation, Mapping):
                used |= dict.fromkeys(operation["tags"])
    return [
        {"name": name} | ({"description": about} if (about := comments.get(name)) else {})
        for name in used
    ]


def seen_by(
    schema: Schema, notes: Documentation, mode: Mode, tenant_column: TenantColumn
) -> tuple[Shown, ...]:
    """Every exposed schema, as the notes let it be seen."""
    return tuple(shown(schema, notes, name, mode, tenant_column) for name in schema.exposed)
