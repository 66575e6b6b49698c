"""What the admin API says no to."""

from collections.abc import Sequence

from server.errors import ServerError


class OperatorsOnly(ServerError):
    """The admin API is for the service role, not narrowed to one tenant."""

    status = 403
    code = "OPERATORS_ONLY"
    postgrest_code = "OPERATORS_ONLY"

    def __init__(self) -> None:
        super().__init__(
            "Only the service role may use the admin API",
            hint="Send a service key without X-Tenant-ID.",
        )


class PreconditionMissing(ServerError):
    """The map is changed only by who says which one the change was made from."""

    status = 428
    code = "PRECONDITION_REQUIRED"
    postgrest_code = "PRECONDITION_REQUIRED"

    def __init__(self) -> None:
        super().__init__(
            "The change does not say which map it was made from",
            hint="Send the ETag of the map that you have read as If-Match.",
        )


class PreconditionFailed(ServerError):
    """Another map than the one that the change was made from is in force."""

    status = 412
    code = "PRECONDITION_FAILED"
    postgrest_code = "PRECONDITION_FAILED"

    def __init__(self, epoch: int, tag: str) -> None:
        super().__init__(
            f"Another map is in force: epoch {epoch}",
            hint="Read it again, and repeat the change.",
            headers=(("ETag", tag),),
        )


class ArgumentInvalid(ServerError):
    """A parameter of the address, or a member of the body, is missing or wrong."""

    status = 400
    code = "ARGUMENT_INVALID"
    postgrest_code = "ARGUMENT_INVALID"

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name} {what}")


class NotThere(ServerError):
    """There is no map of that epoch, no move of that number, no tenant of that key."""

    status = 404
    code = "NOT_FOUND"
    postgrest_code = "NOT_FOUND"

    def __init__(self, what: str) -> None:
        super().__init__(f"There is no {what}")


class MoveNotPossible(ServerError):
    """What keeps a move from being begun or steered; `details` has its own code."""

    status = 409
    code = "MOVE_NOT_POSSIBLE"
    postgrest_code = "MOVE_NOT_POSSIBLE"

    def __init__(self, code: str, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems), details={"code": code, "problems": list(problems)})
