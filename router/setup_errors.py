"""What an operator has to change before a server serves: found before the first request.

RouterError
├── SetupRefused                       the operator must change something        the server does not start
│   ├── DatabaseNotPrepared       P501
│   ├── ConnectionBudgetExceeded  P502
│   └── PreparedTransactionsOff   P503
└── DeclarationNotUnderstood      P520  the operator must change the SQL of a schema   nothing was run
"""

from router.errors import RouterError


class SetupRefused(RouterError):
    """The cluster is not in a state to be served from; found before the first request."""


class DatabaseNotPrepared(SetupRefused):
    """The database lacks roles or grants, and the login role may not make them.

    `by_hand` is the SQL that a superuser runs instead.
    """

    code = "P501"

    def __init__(self, message: str, by_hand: str) -> None:
        super().__init__(
            message,
            hint="Let the login role do it (CREATEROLE, BYPASSRLS, owner of the database), or run"
            " the SQL on standard output there as a superuser.",
        )
        self.by_hand = by_hand


class ConnectionBudgetExceeded(SetupRefused):
    """All connections that we may open are more than a server allows."""

    code = "P502"

    def __init__(self, sums: str) -> None:
        super().__init__(
            f"too many connections: {sums}",
            hint="Lower FLUXBASE_DATABASE_MAX_CONNECTIONS or the number of workers, or raise"
            " max_connections of the server.",
        )


class PreparedTransactionsOff(SetupRefused):
    """A server of a cluster with several shards cannot take part in a two-phase commit."""

    code = "P503"

    def __init__(self, servers: str) -> None:
        super().__init__(
            f"prepared transactions are off at {servers}: writes to several shards need them",
            hint="Set max_prepared_transactions there to the value of max_connections, on the"
            " replicas first, and restart.",
        )


class DeclarationNotUnderstood(RouterError):
    """The SQL text that should say which tables there are cannot be read."""

    code = "P520"
