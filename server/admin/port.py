"""The admin port: health, metrics, settings and tables, apart from what clients can reach."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson

from router import Routine, Schema, Table
from server.admin.health import Health
from server.admin.metrics import Metrics
from server.configuration.show import effective
from server.exchange import Reply, Request
from server.routes import Entry, Route
from server.settings import Settings

_JSON: Final = "application/json; charset=utf-8"


class AdminPort:
    """Answers without credentials: whoever reaches the port is an operator."""

    def __init__(
        self, health: Health, metrics: Metrics, settings: Settings, schema: Callable[[], Schema]
    ) -> None:
        self._health = health
        self._metrics = metrics
        self._settings = settings
        self._schema = schema

    def routes(self) -> Iterator[Route]:
        """Its paths."""
        for path, handler in (
            ("/live", self._health.live),
            ("/ready", self._health.ready),
            ("/health", self._health.health),
            ("/config", self.config),
            ("/schema_cache", self.schema_cache),
        ):
            yield Route("GET", path, handler, entry=Entry.OPEN)
        yield self._metrics.route()

    async def config(self, _: Request) -> Reply:
        """The settings in effect, as a file of them, secrets masked."""
        text = "\n".join(effective(self._settings))
        return Reply(200, text.encode(), "text/plain; charset=utf-8")

    async def schema_cache(self, _: Request) -> Reply:
        """The tables and functions as last read."""
        schema = self._schema()
        body = {
            "version": schema.version,
            "schemas": schema.exposed,
            "tables": [_table(table) for table in schema.tables.values()],
            "functions": [_routine(each) for some in schema.routines.values() for each in some],
        }
        return Reply(200, orjson.dumps(body), _JSON)


def _table(table: Table) -> dict[str, Any]:
    return {
        "schema": table.schema,
        "name": table.relation,
        "kind": table.kind.name.lower(),
        "columns": {name: column.type for name, column in table.columns.items()},
        "primary_key": table.primary_key,
        "foreign_keys": [
            {
                "name": key.name,
                "columns": key.columns,
                "table": key.target,
                "references": key.target_columns,
            }
            for key in table.foreign_keys
        ],
    }


def _routine(routine: Routine) -> dict[str, Any]:
    return {
        "schema": routine.schema,
        "name": routine.name,
        "arguments": {each.name: each.type for each in routine.arguments},
        "returns": routine.type,
        "volatile": routine.volatile,
    }
