"""Why a shard cannot join.

JoinError
├── JoinRefused       J101  its server is not fit, or somebody else's      the operator must change it
└── SchemaNotCopied   J102  the tables could not be made there             make them by hand, repeat

Codes are public, documented in docs/errors.md and never reused.
"""


class JoinError(Exception):
    """Anything that keeps a shard from joining. The map was not changed."""

    code = "J100"


class JoinRefused(JoinError):
    """The server is a replica, belongs to another shard, or holds rows already."""

    code = "J101"


class SchemaNotCopied(JoinError):
    """`pg_dump` is not there or failed, or what it wrote cannot be run on the new server."""

    code = "J102"
