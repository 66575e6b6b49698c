"""The errors of the embedded cluster; a class says what the operator should do.

EmbeddedError                       E100
├── WrongPlace                      E110  choose another directory, or the right one
│   ├── ForeignDirectory            E111  it holds something that is no cluster of ours
│   ├── ClusterMissing              E112  there is no cluster yet
│   ├── SocketPathTooLong           E113  sockets cannot be made in so deep a directory
│   ├── DirectoryUnreachable        E114  the servers' account cannot enter it
│   ├── ClusterOfAnother            E115  it belongs to another user
│   └── SystemRefused               E116  the operating system does not let us: space, permissions
├── Busy                            E120  wait, or end who is in the way
│   ├── ClusterBusy                 E121  another process is changing the cluster
│   └── PortInUse                   E122  another program listens on a port of ours
├── Unsuitable                      E130  change the options or the machine
│   ├── SpecConflict                E131  the options contradict the cluster that is there
│   ├── BinariesUnsuitable          E132  the PostgreSQL programs are missing, too old or foreign
│   ├── AccountMissing              E133  no system account can run PostgreSQL
│   └── UnknownServer               E134  the cluster has no server or shard of that name
├── Damaged                         E140  the files are not what they should be; nothing was wiped
│   ├── RecordBroken                E141  cluster.json cannot be read
│   ├── DataMissing                 E142  a primary's data directory is gone
│   ├── SplitBrain                  E143  two servers of one shard take writes
│   └── StandbyAhead                E144  a replica has more than its primary
├── ServerTrouble                   E150  look at the named server's log
│   ├── ProgramFailed               E151  a PostgreSQL program failed
│   ├── ServerFailed                E152  a server ended while it started
│   ├── ServerSlow                  E153  a server did not get there in time
│   └── ServerUnreachable           E154  a server did not answer a question
└── PromotionRefused                E160  promoting now could lose acknowledged writes

Codes are public, documented and never reused.
"""

from collections.abc import Sequence
from pathlib import Path


class EmbeddedError(Exception):
    """Anything that keeps the embedded cluster from doing as asked. `hint` says what would help."""

    code = "E100"
    hint: str | None = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if hint is not None:
            self.hint = hint


class WrongPlace(EmbeddedError):
    """The directory is not one in which this can be done."""

    code = "E110"


class ForeignDirectory(WrongPlace):
    """The directory holds something that is no cluster of ours; it was not touched."""

    code = "E111"
    hint = (
        "Name an empty directory, one that does not exist, or one made by `fluxshard cluster up`."
    )

    def __init__(self, directory: Path) -> None:
        super().__init__(f"{directory} is no directory of a Fluxshard cluster")


class ClusterMissing(WrongPlace):
    """There is no cluster in the directory."""

    code = "E112"
    hint = "Make one with `fluxshard cluster up`."

    def __init__(self, directory: Path) -> None:
        super().__init__(f"there is no cluster in {directory}")


class SocketPathTooLong(WrongPlace):
    """Unix sockets cannot be made under so long a path (the kernel allows 107 bytes)."""

    code = "E113"
    hint = "Use a shorter directory, or TCP ports."

    def __init__(self, path: Path, limit_bytes: int) -> None:
        super().__init__(f"the socket directory {path} is longer than {limit_bytes} bytes")


class DirectoryUnreachable(WrongPlace):
    """The account that runs the servers cannot enter the directory."""

    code = "E114"

    def __init__(self, directory: Path, account: str) -> None:
        super().__init__(
            f"the account {account}, which runs the servers, cannot enter {directory}",
            hint="Use a directory whose parents others may enter (mode 0711 or 0755).",
        )


class ClusterOfAnother(WrongPlace):
    """The cluster was made by another user."""

    code = "E115"

    def __init__(self, directory: Path, owner: str) -> None:
        super().__init__(
            f"the cluster in {directory} belongs to {owner}",
            hint=f"Run this as {owner}, or name another directory.",
        )


class SystemRefused(WrongPlace):
    """The operating system did not let us read, write or start something; it says why."""

    code = "E116"

    def __init__(self, directory: Path, error: OSError) -> None:
        super().__init__(f"the cluster in {directory} cannot be worked on: {error}")


class Busy(EmbeddedError):
    """Somebody else is in the way at the moment."""

    code = "E120"


class ClusterBusy(Busy):
    """Another process is changing the cluster. `pid` is None when it has not said who it is."""

    code = "E121"
    hint = "Wait for it to end."

    def __init__(self, directory: Path, pid: int | None) -> None:
        who = f"process {pid}" if pid is not None else "another process"
        super().__init__(f"{who} is changing the cluster in {directory}")
        self.pid = pid


class PortInUse(Busy):
    """Another program listens on a port that a server of the cluster is recorded with."""

    code = "E122"
    hint = "End that program, or make the cluster elsewhere with another --base-port."

    def __init__(self, ports: Sequence[int]) -> None:
        super().__init__(f"already in use: port {', '.join(str(port) for port in ports)}")
        self.ports = tuple(ports)


class Unsuitable(EmbeddedError):
    """What was asked for cannot be had here."""

    code = "E130"


class SpecConflict(Unsuitable):
    """The options contradict each other, or the cluster that is already there."""

    code = "E131"


class BinariesUnsuitable(Unsuitable):
    """The PostgreSQL programs are missing, too old, or of another release than the data."""

    code = "E132"
    hint = "Set FLUXSHARD_PG_BINDIR or --pg-bindir to the bin directory of PostgreSQL 15 or newer."


class AccountMissing(Unsuitable):
    """PostgreSQL runs neither as root nor as a uid without a passwd entry."""

    code = "E133"


class UnknownServer(Unsuitable):
    """The cluster has no server or shard of that name."""

    code = "E134"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"there is no {name} in the cluster", hint=f"It has: {', '.join(known)}.")


class Damaged(EmbeddedError):
    """The files are not what they should be. Nothing was changed or wiped."""

    code = "E140"


class RecordBroken(Damaged):
    """`cluster.json` is missing beside data, or holds what this release cannot read."""

    code = "E141"


class DataMissing(Damaged):
    """A primary's data directory is gone while its replicas' are there."""

    code = "E142"

    def __init__(self, shard: str, server: str) -> None:
        super().__init__(
            f"the data directory of {server}, the primary of {shard}, is gone",
            hint=f"Its replicas have the data: `fluxshard cluster promote {shard}`.",
        )


class SplitBrain(Damaged):
    """Two servers of one shard are, or could be, primaries; we do not choose for you."""

    code = "E143"

    def __init__(self, shard: str, servers: Sequence[str], *, hint: str) -> None:
        super().__init__(f"{' and '.join(servers)} are both primaries of {shard}", hint=hint)


class StandbyAhead(Damaged):
    """A replica has WAL that its primary lacks: the primary has lost data, or was set back."""

    code = "E144"

    def __init__(self, standby: str, primary: str) -> None:
        super().__init__(
            f"{standby} has writes that {primary}, its primary, has lost",
            hint="`fluxshard cluster down`, then remove the data directory of the one whose"
            f" writes you give up. `up` copies a replica anew; without {primary}, promote first.",
        )


class ServerTrouble(EmbeddedError):
    """One server, or one program working for it, did not do as it should."""

    code = "E150"


class ProgramFailed(ServerTrouble):
    """A PostgreSQL program ended with an error; the message ends with what it said."""

    code = "E151"

    def __init__(self, program: str, server: str, output: str) -> None:
        super().__init__(f"{program} failed for {server}: {output.strip() or 'no output'}")


class ServerFailed(ServerTrouble):
    """A server ended while it started; the message ends with the last lines of its log."""

    code = "E152"

    def __init__(self, server: str, log: Path, tail: str) -> None:
        super().__init__(f"{server} ended while starting: {tail.strip() or 'it logged nothing'}")
        self.hint = f"The whole log is {log}."


class ServerSlow(ServerTrouble):
    """A server did not reach the named state in time."""

    code = "E153"

    def __init__(self, server: str, state: str, limit_s: float) -> None:
        super().__init__(f"{server} was not {state} within {limit_s:g} s")


class ServerUnreachable(ServerTrouble):
    """A server is not running, or did not answer a question."""

    code = "E154"


class PromotionRefused(EmbeddedError):
    """Promoting now could lose acknowledged writes, or there is nothing to promote."""

    code = "E160"
