"""Which processes of the machine belong to a server, as /proc tells; no bookkeeping can go stale.

A postmaster, and a program that makes or mends a data directory, has the directory's path among its
arguments. A server's children have the cluster's name for it in their title (`cluster_name`). Both
can be read of any account's processes, where `cwd` could not.
"""

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


_TOOLS: Final = frozenset({"initdb", "pg_basebackup", "pg_rewind"})
_PROGRAMS: Final = _TOOLS | {"postgres"}
"""Only these: a user's own `du` of a data directory is none of our business."""


@dataclass(frozen=True, slots=True)
class Traces:
    """How the processes of one server are known: paths in arguments, and a title."""

    paths: frozenset[str]
    title: str


def alive(pid: int) -> bool:
    """Whether the process runs. One that has ended and was not yet reaped does not."""
    try:
        status = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}


def arguments(pid: int) -> tuple[str, ...]:
    """The arguments of a process; empty when it has ended."""
    try:
        content = (_PROC / str(pid) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ()
    return tuple(os.fsdecode(content).rstrip("\0").split("\0"))


def processes(uid: int) -> tuple[int, ...]:
    """The processes of a user."""
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            try:
                if entry.stat().st_uid == uid:
                    found.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return tuple(found)


def of_server(traces: Traces, uid: int) -> tuple[int, ...]:
    """The server's living processes, and the programs at work on its data directory."""
    return tuple(pid for pid in processes(uid) if belongs(arguments(pid), traces) and alive(pid))


def belongs(argv: Sequence[str], traces: Traces) -> bool:
    """Whether a process with these arguments belongs to the server."""
    if not argv:
        return False
    if argv[0].startswith(f"postgres: {traces.title}: "):
        return True
    return Path(argv[0]).name in _PROGRAMS and not traces.paths.isdisjoint(argv)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal; a process that has ended takes it as well as any."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_family(pid: int) -> None:
    """SIGKILL for a process and, when it leads a group, its group.

    initdb leads one, with a child whose arguments do not say which directory it writes to.
    PostgreSQL's own children each have a group of their own.
    """
    with suppress(ProcessLookupError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)


def is_tool(pid: int) -> bool:
    """Whether the process is a program that ends, rather than a server or a part of one."""
    argv = arguments(pid)
    return bool(argv) and Path(argv[0]).name in _TOOLS
