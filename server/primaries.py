"""A session on whoever is a shard's primary now, for operators' work on its rows.

The map says who was declared as primary; after a promotion it is another server, and the old one may
still answer. Nothing bounds the time of a statement: a large table takes as long as it takes.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from server.catalog import Session
from server.moves import LeaseLost, MoveAway, Places
from shardmap import MapUnavailable, ShardId, ShardMap

_SETTINGS: Final = {
    "application_name": "fluxshard tenants",
    "statement_timeout": "0",
    # A command that stands still must not keep locks for ever; one that loads a large table into
    # another server stands still here meanwhile.
    "idle_in_transaction_session_timeout": "10min",
    "default_transaction_read_only": "off",
    # One text for one value, whatever the server's defaults: archives are read by other servers.
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
}
"""The search path is the database's own, since triggers fire in these sessions."""


@asynccontextmanager
async def primary_session(
    shard_map: ShardMap, shard: ShardId, environ: Mapping[str, str]
) -> AsyncIterator[Session]:
    """A session on the one server of the shard that is no standby, on the highest timeline.

    Raises:
        MapUnavailable: It has none that answers, it is another shard's, it stopped answering, or
            PostgreSQL refused a statement.
    """
    try:
        async with Places(shard_map, environ, _SETTINGS).primary(shard) as session:
            yield session
    except (MoveAway, LeaseLost) as error:
        raise MapUnavailable(str(error)) from error
    except asyncpg.PostgresError as error:
        raise MapUnavailable(f"{shard}: {error}") from error
