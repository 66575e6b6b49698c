"""The errors of the SQL door; a class says what the caller should do.

ServerError
└── SqlError                 the client must change the request, except where said
    ├── SqlMalformed         400  the body is not of the known form
    ├── ColumnsAlike         400  two columns have one name, and objects were asked for
    ├── ParameterUntyped     400  a parameter whose type would become a column's name
    ├── ValueTooDeep         400  a value nests too deep for the form that was asked for
    ├── SqlNotEnabled        403  the SQL door is for the service role
    └── TransactionsFull     503  too many interactive transactions; passes by itself
"""

from server.errors import ServerError


class SqlError(ServerError):
    """A request to the SQL door that is refused by name."""

    status = 400
    code = "INVALID_INPUT"
    postgrest_code = "PGRST102"


class SqlMalformed(SqlError):
    """The body is no JSON, or says something that is not understood."""


class ColumnsAlike(SqlError):
    """Objects cannot hold two columns of one name."""

    code = "COLUMNS_ALIKE"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Two columns are called {name[:80]}",
            hint='Give each a name of its own with AS, or ask for "format": "rows".',
        )


class ParameterUntyped(SqlError):
    """A bare parameter in the select list would be named after its type."""

    code = "PARAMETER_UNTYPED"

    def __init__(self) -> None:
        super().__init__(
            "A parameter in the select list has neither a type nor a name",
            hint="Write both: $1::date AS day.",
        )


class ValueTooDeep(SqlError):
    """A JSON value nests deeper than rows can be made of."""

    code = "VALUE_TOO_DEEP"

    def __init__(self) -> None:
        super().__init__("A JSON value nests too deep", hint='Ask for "format": "json".')


class SqlNotEnabled(SqlError):
    """Only the service role may use the SQL door, unless a setting lets tenants in."""

    status = 403
    code = "SQL_NOT_ENABLED"
    postgrest_code = "SQL_NOT_ENABLED"

    def __init__(self) -> None:
        super().__init__(
            "The SQL API is for the service role",
            hint="FLUXSHARD_SQL_TENANTS=true lets tenants in.",
        )


class TransactionsFull(SqlError):
    """This worker has as many interactive transactions as it may."""

    status = 503
    code = "TRANSACTIONS_FULL"
    postgrest_code = "TRANSACTIONS_FULL"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"There are {most} interactive transactions already",
            hint="FLUXSHARD_SQL_MAX_TRANSACTIONS and the number of connections bound them.",
            headers=(("Retry-After", "1"),),
        )
