"""One server's life: start it, know that it runs, stop it, clear away what a killed one left."""

import asyncio
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.embedded import processes, shared_memory
from server.embedded.configuration import HBA
from server.embedded.directory import write_file
from server.embedded.errors import PortInUse, ServerFailed, ServerSlow
from server.embedded.programs import Programs
from server.embedded.record import ServerRecord, ShardRecord
from server.embedded.site import Site

START_LIMIT_S: Final = 120.0
"""Crash recovery of a server that was busy takes its time."""
STOP_LIMIT_S: Final = 15.0
"""For each of: a fast shutdown, an immediate one, and SIGKILL."""
TOOL_LIMIT_S: Final = 3.0
"""For a program that was asked to end, before it is killed."""
START_ATTEMPTS: Final = 3
POLL_S: Final = 0.02
_TAIL_BYTES: Final = 2000


class Children:
    """The servers that this process has started and therefore has to reap."""

    def __init__(self) -> None:
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def add(self, process: "subprocess.Popen[bytes]") -> int:
        """Take a new child; its process id."""
        self._processes[process.pid] = process
        return process.pid

    def reap(self) -> None:
        """Let go of those that have ended."""
        for pid, process in list(self._processes.items()):
            if process.poll() is not None:
                del self._processes[pid]


@dataclass(frozen=True, slots=True)
class Works:
    """A cluster that is being changed: the site, what it takes, and who is told of each step."""

    site: Site
    programs: Programs
    children: Children
    progress: Callable[[str], None]


async def until(condition: Callable[[], bool], limit_s: float) -> bool:
    """Wait for the condition; False when it did not come true in time."""
    try:
        async with asyncio.timeout(limit_s):
            while not condition():  # noqa: ASYNC110 - other processes set no asyncio.Event
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        return False
    return True


def pid_of(site: Site, server: ServerRecord) -> int | None:
    """The process id of the running server, or None: a killed one's file proves nothing."""
    lines = _pid_file(site.data(server))
    if not lines or not lines[0].strip().isdecimal():
        return None
    pid = int(lines[0])
    ours = processes.belongs(processes.arguments(pid), site.traces(server))
    return pid if ours and processes.alive(pid) else None


def is_ready(site: Site, server: ServerRecord) -> bool:
    """Whether the running server takes connections, as it says in its own pid file."""
    lines = _pid_file(site.data(server))
    return len(lines) > 7 and lines[7].strip() == "ready"


def configure(site: Site, shard: ShardRecord, server: ServerRecord, data: Path) -> bool:
    """Write the server's configuration files; whether anything changed."""
    changed = False
    files = (("postgresql.conf", site.configuration(shard, server)), ("pg_hba.conf", HBA))
    for name, text in files:
        path = data / name
        if not path.exists() or path.read_text() != text:
            write_file(path, text, site.account)
            changed = True
    return changed


async def start(works: Works, shard: ShardRecord, server: ServerRecord) -> None:
    """Start the server, or let a running one take its configuration; wait until it is ready.

    Raises:
        PortInUse: Another program has its port.
        ServerFailed: It ended instead.
        ServerSlow: It did not get ready in time.
    """
    site, children = works.site, works.children
    children.reap()
    changed = configure(site, shard, server, site.data(server))
    log = site.directory.log_of(server.name)
    for _ in range(START_ATTEMPTS):
        met = pid_of(site, server)
        if met is not None:
            processes.send(met, signal.SIGCONT)
            if changed:
                processes.send(met, signal.SIGHUP)
            pid = met
        else:
            await clear(site, children, server)
            process, logged = works.programs.serve(site.data(server), log)
            pid = children.add(process)
        if await _settled(site, children, server, pid):
            return
        if met is None and pid_of(site, server) is None:
            raise _start_failure(server, log, logged)
        # The one that we met was ending, or one that a killed `up` had begun came before ours.
    raise ServerSlow(server.name, "ready", START_LIMIT_S)


async def _settled(site: Site, children: Children, server: ServerRecord, pid: int) -> bool:
    """Wait for the process to be ready (True) or gone (False)."""

    def ready() -> bool:
        return pid_of(site, server) == pid and is_ready(site, server)

    def settled() -> bool:
        children.reap()
        return not processes.alive(pid) or ready()

    if not await until(settled, START_LIMIT_S):
        raise ServerSlow(server.name, "ready", START_LIMIT_S)
    return ready()


def _start_failure(server: ServerRecord, log: Path, logged: int) -> PortInUse | ServerFailed:
    """What the server said while it failed, from `logged` bytes of its log on."""
    with log.open("rb") as file:
        file.seek(max(logged, log.stat().st_size - _TAIL_BYTES))
        tail = file.read().decode(errors="replace")
    if "Address already in use" in tail:
        return PortInUse([server.port])
    return ServerFailed(server.name, log, tail)


async def stop(site: Site, children: Children, server: ServerRecord) -> bool:
    """Stop the server and whatever of it remains; whether it shut down in an orderly way.

    Raises:
        ServerSlow: It does not end even when it is killed.
    """
    pid = pid_of(site, server)
    orderly = False
    if pid is not None:
        for number in (signal.SIGINT, signal.SIGQUIT):  # PostgreSQL's fast and immediate shutdown
            processes.send(pid, number)
            processes.send(pid, signal.SIGCONT)  # one that was stopped would never hear of it
            if await _ended(children, pid):
                orderly = number is signal.SIGINT
                break
    await clear(site, children, server)
    return orderly


async def clear(site: Site, children: Children, server: ServerRecord) -> None:
    """End all processes of the server, and remove its pid and lock files, which block a start.

    What remains of a killed postmaster: backends that are busy and have not noticed, which would
    go on writing; programs that a killed `up` had started; the pid itself, not reaped by its
    parent, or used again by another process. PostgreSQL refuses to start beside either.

    Raises:
        ServerSlow: A process does not end even when it is killed.
    """
    traces, uid = site.traces(server), site.account.uid

    def asked() -> bool:
        tools = [pid for pid in processes.of_server(traces, uid) if processes.is_tool(pid)]
        for pid in tools:
            processes.send(pid, signal.SIGTERM)
        return not tools

    def gone() -> bool:
        children.reap()
        left = processes.of_server(traces, uid)
        for pid in left:
            processes.kill_family(pid)
        return not left

    await until(asked, TOOL_LIMIT_S)  # children of one that is killed leave shared memory behind
    if not await until(gone, STOP_LIMIT_S):
        raise ServerSlow(server.name, "gone after SIGKILL", STOP_LIMIT_S)
    for data in (site.data(server), site.directory.making_of(server.name)):
        shared_memory.release(site.account, _pid_file(data))
        (data / "postmaster.pid").unlink(missing_ok=True)
    socket = site.directory.sockets / f".s.PGSQL.{server.port}"
    for path in (socket, socket.with_name(f"{socket.name}.lock")):
        path.unlink(missing_ok=True)


async def kill(
    site: Site, children: Children, server: ServerRecord, number: signal.Signals
) -> int | None:
    """Send a signal to the postmaster alone; its pid, or None when the server does not run.

    After a signal that ends it, return when it has ended.

    Raises:
        ServerSlow: It did not end.
    """
    pid = pid_of(site, server)
    if pid is None:
        return None
    processes.send(pid, number)
    ending = {signal.SIGKILL, signal.SIGQUIT, signal.SIGINT, signal.SIGTERM, signal.SIGABRT}
    if number in ending and not await _ended(children, pid):
        raise ServerSlow(server.name, f"gone after {number.name}", STOP_LIMIT_S)
    return pid


async def _ended(children: Children, pid: int) -> bool:
    def ended() -> bool:
        children.reap()
        return not processes.alive(pid)

    return await until(ended, STOP_LIMIT_S)


def _pid_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []
