"""What keeps a request from a connection, besides servers that are away.

RouterError
├── QueryRefused                  400
│   └── SessionNeeded             P131  nothing but a pooler leads there, and it takes sessions away
└── ShardUnavailable              503
    ├── PoolQueueFull             P211  too many wait already
    └── IdentityMismatch
        └── PoolerUndeclared      P212  somebody is in between
"""

from router.errors import IdentityMismatch, QueryRefused, ShardUnavailable


class SessionNeeded(QueryRefused):
    """It needs a session of its own, and only a pooler in transaction mode leads to the endpoint."""

    code = "P131"
    hint = "Give the endpoint its own address in the shard map: `direct: host:port`."


class PoolQueueFull(ShardUnavailable):
    """So many wait for a connection of the endpoint that there is no room for another.

    Of whom most wait, the newest is told so.
    """

    code = "P211"


class PoolerUndeclared(IdentityMismatch):
    """A connection pooler answers at an endpoint in another way than the shard map says.

    Role and claims of one caller could reach another's statements, so none is sent.
    """

    code = "P212"
    hint = "Say `pooling: transaction` (or `session`) for the endpoint in the shard map."
