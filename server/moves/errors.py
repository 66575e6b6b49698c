"""The errors of moves; a class says what the operator should do.

MoveError
├── MoveRefused        V101  the preflight found what would break it, all listed    mend, plan again
├── NoSuchMove         V102  the journal has no move of that number                 look at `moves`
├── WrongState         V103  the move is not in a state in which this can be done   look at `moves show`
├── LeaseLost          V104  another process carries the move out by now            nothing
├── MoveBusy           V105  another process has the lease, and it has not run out  wait for it
├── MoveAway           V106  a database that the move needs does not answer         run it again
├── RowsDiffer         V107  both sides differ in rows that are at rest             look, --repair, resume
├── PauseTooLong       V108  no cutover was short enough; nothing was changed       resume when it is quiet
├── StreamBroken       V109  replication between the sides does not go on           read the server's log
├── WayBackLost        V110  the stream that a rollback needs is gone               move it anew
├── MovePaused         V111  an operator has paused it                              `moves resume`
├── MapOpposes         V112  the map does not let it go on                          look at the map, resume
└── ServerRefused      V113  a server refuses a statement of the mover              mend what it says, resume

Codes are public, documented in docs/errors.md and never reused.
"""

from collections.abc import Sequence


class MoveError(Exception):
    """Anything that keeps a move from going on. `lines` are what the operator reads."""

    code = "V100"

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


class MoveRefused(MoveError):
    """The move would fail, or break writers. Nothing was changed."""

    code = "V101"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(*problems)
        self.problems = tuple(problems)


class NoSuchMove(MoveError):
    """The journal has no such move."""

    code = "V102"


class WrongState(MoveError):
    """What was asked for cannot be done in the state that the move is in."""

    code = "V103"


class LeaseLost(MoveError):
    """Another process has taken the move over; this one changes nothing more."""

    code = "V104"


class MoveBusy(MoveError):
    """Another process is carrying the move out."""

    code = "V105"


class MoveAway(MoveError):
    """A shard or the catalog does not answer, or has no primary. The journal says where to go on."""

    code = "V106"


class RowsDiffer(MoveError):
    """Rows that nobody writes at the moment are not the same on both sides."""

    code = "V107"


class PauseTooLong(MoveError):
    """Every attempt at a cutover would have kept writers waiting for longer than allowed."""

    code = "V108"


class StreamBroken(MoveError):
    """A subscription fails again and again, or its slot is lost."""

    code = "V109"


class WayBackLost(MoveError):
    """The reverse stream is gone: with its shard's primary, or since the rows were cleaned up."""

    code = "V110"


class MovePaused(MoveError):
    """An operator paused the move; what is done stays done, and the copy follows its source."""

    code = "V111"


class MapOpposes(MoveError):
    """The map in force does not allow what the move does to it, or cannot be read."""

    code = "V112"


class ServerRefused(MoveError):
    """PostgreSQL refused a statement of the mover: for a missing right, say, or a full disk."""

    code = "V113"
