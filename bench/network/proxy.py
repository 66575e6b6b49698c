"""The links themselves: one process that passes bytes between a router and its servers.

Started by `links.py`, told over standard input what the network is like, and ended by its end. A
link whose packets are lost is silent as a real one: data waits in the kernel's buffers as in those
of a sender that gets no acknowledgement, and a new connection hangs, because the queue of the
listening socket is kept full, so that the kernel drops the first packet of each.
"""

import asyncio
import json
import resource
import socket
import struct
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Final

import uvloop

from bench.network.conditions import CLEAR, Conditions, Link, Pace, Way, slices

HOST: Final = "127.0.0.1"
BACKLOG: Final = 1_024
HELD_BYTES: Final = 1_048_576
"""A direction of a connection that holds back more than that stops reading, as a full buffer."""
FILLERS: Final = 8
FILLED_WITHIN_S: Final = 0.05
RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: the end of the socket is a reset."""
END: Final = b""
"""In a queue: the sender has ended the connection."""


class Direction:
    """One direction of a link: what it is like now, for all of its connections."""

    def __init__(self) -> None:
        self.conditions = CLEAR
        self.pace = Pace()
        self.flows: set[Flow] = set()

    def become(self, conditions: Conditions) -> None:
        """Change, also for what is on its way."""
        self.conditions = conditions
        self.pace.restart()
        for flow in tuple(self.flows):
            flow.conditions_changed()


class Flow:
    """One direction of one connection."""

    def __init__(self, direction: Direction) -> None:
        self._direction = direction
        self._source: asyncio.Transport | None = None
        self._sink: asyncio.Transport | None = None
        self._queue: deque[tuple[float, bytes]] = deque()
        self._held_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._sink_full = False
        direction.flows.add(self)

    def opened(self, source: asyncio.Transport, sink: asyncio.Transport) -> None:
        """Both ends are there."""
        self._source, self._sink = source, sink
        self._let_read()
        self._deliver()

    def take(self, data: bytes) -> None:
        """Bytes of the source, or its end."""
        conditions = self._direction.conditions
        if conditions.plain and not self._queue and self._sink is not None:
            self._pass(data)
            return
        now = asyncio.get_running_loop().time()
        for piece in slices(data, conditions) if data else (data,):
            due = self._direction.pace.due(len(piece), now, conditions)
            self._queue.append((due, piece))
        self._held_bytes += len(data)
        self._let_read()
        self._arm()

    def sink_is_full(self, *, full: bool) -> None:
        """The receiver does not take what is sent; or does again."""
        self._sink_full = full
        self._let_read()

    def conditions_changed(self) -> None:
        """What waits is due at once, unless everything is lost now."""
        self._queue = deque((0.0, piece) for _, piece in self._queue)
        self._let_read()
        self._arm()

    def close(self) -> None:
        """The connection is gone."""
        self._direction.flows.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self._queue.clear()
        self._source = self._sink = None

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._queue and not self._direction.conditions.lost and self._sink is not None:
            self._timer = asyncio.get_running_loop().call_at(self._queue[0][0], self._deliver)

    def _deliver(self) -> None:
        now = asyncio.get_running_loop().time()
        while (
            self._queue
            and self._sink is not None
            and not self._direction.conditions.lost
            and self._queue[0][0] <= now
        ):
            _, piece = self._queue.popleft()
            self._held_bytes -= len(piece)
            self._pass(piece)
        self._let_read()
        self._arm()

    def _pass(self, data: bytes) -> None:
        assert self._sink is not None  # noqa: S101 - asked by who calls
        if data is END:
            self._sink.close()
        elif not self._sink.is_closing():  # else the receiver has gone while it was on its way
            self._sink.write(data)

    def _let_read(self) -> None:
        source = self._source
        if source is None or source.is_closing():
            return
        stopped = (
            self._direction.conditions.lost or self._sink_full or self._held_bytes > HELD_BYTES
        )
        if stopped == source.is_reading():
            (source.pause_reading if stopped else source.resume_reading)()


class Side(asyncio.Protocol):
    """One end of a connection: what comes from it goes into `outgoing`."""

    def __init__(self, connection: "Connection", outgoing: Flow, incoming: Flow) -> None:
        self._connection = connection
        self._outgoing = outgoing
        self._incoming = incoming

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        self._outgoing.take(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the other end hear of it when what was sent before has arrived."""
        del exc
        self._connection.side_lost(self._outgoing)

    def pause_writing(self) -> None:
        """This end is slow."""
        self._incoming.sink_is_full(full=True)

    def resume_writing(self) -> None:
        """No more."""
        self._incoming.sink_is_full(full=False)


class Connection:
    """A connection of the router, and ours to the server for it."""

    def __init__(self, ways: dict[Way, Direction], forget: Any) -> None:
        self._forget = forget
        self.flows = {way: Flow(direction) for way, direction in ways.items()}
        self._transports: list[asyncio.Transport] = []
        self._living = 2
        self._gone = False

    async def open(self, accepted: socket.socket, link: Link) -> None:
        """Connect to the server, and let flow."""
        loop = asyncio.get_running_loop()
        requests, answers = self.flows[Way.REQUESTS], self.flows[Way.ANSWERS]
        try:
            to_server = partial(Side, self, answers, requests)
            if link.host.startswith("/"):
                path = f"{link.host}/.s.PGSQL.{link.server_port}"
                server, _ = await loop.create_unix_connection(to_server, path)
            else:
                server, _ = await loop.create_connection(to_server, link.host, link.server_port)
        except OSError:  # as the server itself would: nobody listens there
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            accepted.close()
            self.close()
            return
        if self._gone:
            server.abort()
            accepted.close()
            return
        server.pause_reading()
        router, _ = await loop.connect_accepted_socket(
            partial(Side, self, requests, answers), accepted
        )
        self._transports = [router, server]
        requests.opened(router, server)
        answers.opened(server, router)

    def side_lost(self, outgoing: Flow) -> None:
        """One end is gone."""
        self._living -= 1
        if self._living:
            outgoing.take(END)
        else:
            self.close()

    def cut(self) -> None:
        """Reset both ends."""
        for transport in self._transports:
            found = transport.get_extra_info("socket")
            if found is not None:
                with suppress(OSError):
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            transport.abort()
        self.close()

    def close(self) -> None:
        """Forget it."""
        self._gone = True
        for flow in self.flows.values():
            flow.close()
        self._forget(self)


class OpenLink:
    """One link: its listening socket, its connections, and what it is like."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._directions = {way: Direction() for way in Way}
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening: socket.socket | None = None
        self._fillers: dict[Any, socket.socket] = {}
        self._silent = False

    def listen(self) -> None:
        """Take connections."""
        self._listening = socket.create_server((HOST, self._link.port), backlog=BACKLOG)
        self._listening.setblocking(False)
        self._watch()

    def become(self, ways: Iterator[Way], conditions: Conditions) -> None:
        """Change one direction, or both."""
        for way in ways:
            self._directions[way].become(conditions)
        if self._listening is None:
            self.listen()
        lost = any(direction.conditions.lost for direction in self._directions.values())
        if lost and not self._silent:
            self._fall_silent()
        elif self._silent and not lost:
            self._speak()

    def cut(self) -> None:
        """End every connection with a reset, and refuse new ones."""
        if self._listening is not None:
            self._speak()
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()
            self._listening = None
        for connection in tuple(self._connections):
            connection.cut()

    def _watch(self) -> None:
        assert self._listening is not None  # noqa: S101 - asked by who calls
        asyncio.get_running_loop().add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        assert self._listening is not None  # noqa: S101 - it is being watched
        while True:
            try:
                accepted, peer = self._listening.accept()
            except (BlockingIOError, ConnectionError):
                return
            filler = self._fillers.pop(peer, None)
            if filler is not None:
                filler.close()
                accepted.close()
                continue
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(self._directions, self._connections.discard)
            self._connections.add(connection)
            task = asyncio.get_running_loop().create_task(connection.open(accepted, self._link))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _fall_silent(self) -> None:
        """Fill the queue of those who wait to be accepted: then the kernel drops who comes next."""
        assert self._listening is not None  # noqa: S101 - asked by who calls
        self._silent = True
        asyncio.get_running_loop().remove_reader(self._listening)
        self._listening.listen(0)
        for _ in range(FILLERS):
            filler = socket.socket()
            filler.settimeout(FILLED_WITHIN_S)
            try:
                filler.connect((HOST, self._link.port))
            except TimeoutError:
                filler.close()
                return
            self._fillers[filler.getsockname()] = filler
        raise SystemExit(f"the queue of port {self._link.port} does not fill")

    def _speak(self) -> None:
        assert self._listening is not None  # noqa: S101 - asked by who calls
        if self._silent:
            self._silent = False
            self._listening.listen(BACKLOG)
            self._watch()


class Commands:
    """What we are told, a JSON object a line, each answered with one."""

    def __init__(self, links: dict[str, OpenLink]) -> None:
        self._links = links

    def obey(self, line: bytes) -> dict[str, float]:
        """Do it; our CPU seconds so far."""
        told = json.loads(line)
        match told["do"]:
            case "become":
                ways = (Way(way) for way in told["ways"])
                self._links[told["link"]].become(ways, Conditions(**told["conditions"]))
            case "cut":
                self._links[told["link"]].cut()
            case "look":
                pass
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {"cpu_s": usage.ru_utime + usage.ru_stime}


async def serve(links: list[Link]) -> None:
    """Pass and obey until standard input ends."""
    opened = {link.name: OpenLink(link) for link in links}
    for link in opened.values():
        link.listen()
    commands = Commands(opened)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    print(json.dumps({"cpu_s": 0.0}), flush=True)
    while line := await reader.readline():
        print(json.dumps(commands.obey(line)), flush=True)


def main() -> None:
    """Links as JSON in the one argument."""
    links = [Link(**given) for given in json.loads(sys.argv[1])]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(links))


if __name__ == "__main__":
    main()
