"""The errors of a failover by command; a class says in what state it leaves the shard.

FailoverError
├── FailoverRefused    F101  acknowledged writes could be lost, or nobody can be promoted   nothing was changed
├── NotPermitted       F102  the login may not do what is needed                            nothing was changed
└── FailoverBroken     F103  it was begun and not finished; says what is how                 read, then run it again

Codes are public, documented in docs/errors.md and never reused.
"""


class FailoverError(Exception):
    """Anything that keeps a failover from being done. `hint` says what would help."""

    code = "F100"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class FailoverRefused(FailoverError):
    """It could lose acknowledged writes, or there is nobody to promote. Nothing was changed."""

    code = "F101"


class NotPermitted(FailoverError):
    """The login lacks rights. Nothing was changed."""

    code = "F102"


class FailoverBroken(FailoverError):
    """It was begun and could not be finished."""

    code = "F103"
