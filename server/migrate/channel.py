"""The channel, in the catalog, on which running servers hear that a database's schema has changed."""

from typing import Final

SCHEMA_CHANNEL: Final = "fluxshard_schema"
