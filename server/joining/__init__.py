"""A shard that joins: its database gets what every shard has, before the map names it."""

from server.joining.errors import JoinError, JoinRefused, SchemaNotCopied
from server.joining.joining import join, settle_reference_tables

__all__ = ["JoinError", "JoinRefused", "SchemaNotCopied", "join", "settle_reference_tables"]
