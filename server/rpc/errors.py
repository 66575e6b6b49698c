"""The errors of procedures; a class says what the caller should do.

ServerError
├── ProcedureUnknown         404  no procedure of that name that the caller may see
├── ProcedureForbidden       403  the caller has none of its roles
├── ProcedureInputInvalid    400  the body, or a parameter that is missing or unknown
├── ProcedureAsync           400  only calls that are waited for are answered
└── ProcedureRows            400  it gives more rows than one answer may hold
ConfigurationError
└── ProceduresInvalid             files have problems, all listed: the server does not start
"""

from collections.abc import Sequence

from server.errors import ConfigurationError, ServerError
from shardmap import Problem


class ProcedureError(ServerError):
    """A call of a procedure that is refused by name."""

    status = 400
    code = "INVALID_INPUT"
    postgrest_code = "PGRST127"


class ProcedureUnknown(ProcedureError):
    """There is no such procedure."""

    status = 404
    code = "NOT_FOUND"
    postgrest_code = "PGRST202"

    def __init__(self) -> None:
        super().__init__("Procedure not found")


class ProcedureForbidden(ProcedureError):
    """The procedure is for other roles."""

    status = 403
    code = "FORBIDDEN"
    postgrest_code = "42501"

    def __init__(self, roles: Sequence[str]) -> None:
        super().__init__(
            "This procedure is not for your role", hint=f"It is for: {', '.join(roles)}."
        )


class ProcedureInputInvalid(ProcedureError):
    """The body is not of the form that a call has, or its parameters are not the procedure's."""


class ProcedureAsync(ProcedureError):
    """The call should go on after its answer, which nothing here does."""

    code = "FEATURE_NOT_SUPPORTED"

    def __init__(self) -> None:
        super().__init__(
            "Asynchronous calls of procedures: not supported", hint="Send async: false, and wait."
        )


class ProcedureRows(ProcedureError):
    """It reads more rows than one answer may hold. Procedures that write are not held to it."""

    code = "TOO_MANY_ROWS"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"The procedure gives more than {most} rows",
            hint="Give it a LIMIT, or raise FLUXBASE_RPC_DEFAULT_MAX_ROWS.",
        )


class ProceduresInvalid(ConfigurationError):
    """Files of procedures have problems; every one is listed with its file."""

    code = "PROCEDURES_INVALID"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
