"""A closed-loop HTTP load generator that costs little itself: raw sockets, one process.

Run as a program it prints one JSON line: requests, seconds, errors, latencies and its own CPU.
Every connection sends its next request when the last one is answered.
"""

import argparse
import asyncio
import json
import random
import resource
import time
from collections.abc import Callable, Iterator
from typing import cast

import uvloop


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request in flight."""

    def __init__(self, requests: Iterator[bytes], run: "Run") -> None:
        self._requests = requests
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop has classes of its own
        self._send()

    def data_received(self, data: bytes) -> None:
        """Take responses off the buffer; a whole one sends the next request."""
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._buffer.lower().find(b"content-length:", 0, head)
        length = int(self._buffer[at + 15 : self._buffer.find(b"\r\n", at)]) if at >= 0 else 0
        if len(self._buffer) < head + 4 + length:
            return
        ok = self._buffer[9:12] == b"200"
        self._buffer = self._buffer[head + 4 + length :]
        self._run.answered(time.perf_counter() - self._sent_at, ok=ok)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that the server closes is an error, unless the run is over."""
        self._run.lost(exc)

    def _send(self) -> None:
        assert self._transport is not None  # noqa: S101 - set when the connection is made
        if self._run.over:
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._requests))


class Run:
    """Counts until time is over; the first `warm_s` seconds are not counted."""

    def __init__(self, warm_s: float, seconds: float) -> None:
        now = time.perf_counter()
        self._from = now + warm_s
        self._until = now + warm_s + seconds
        self.latencies_s: list[float] = []
        self.errors = 0

    @property
    def over(self) -> bool:
        """Whether no more requests are to be sent."""
        return time.perf_counter() >= self._until

    def answered(self, latency_s: float, *, ok: bool) -> None:
        """One response."""
        if time.perf_counter() >= self._from:
            self.latencies_s.append(latency_s)
            self.errors += not ok

    def lost(self, _: Exception | None) -> None:
        """One connection has ended."""
        if not self.over:
            self.errors += 1


async def load(
    host: str, port: int, requests: Callable[[int], Iterator[bytes]], options: argparse.Namespace
) -> dict[str, float]:
    """The figures of one run of `options.connections` connections."""
    loop = asyncio.get_running_loop()
    run = Run(options.warm, options.seconds)
    transports = [
        (
            await loop.create_connection(
                lambda seed=seed: Connection(requests(seed), run), host, port
            )
        )[0]
        for seed in range(options.connections)
    ]
    await asyncio.sleep(options.warm)
    cpu = _cpu_s()
    await asyncio.sleep(options.seconds)
    cpu = _cpu_s() - cpu
    await asyncio.sleep(0.3)
    for transport in transports:
        transport.close()
    found = sorted(run.latencies_s)
    return {
        "requests": len(found),
        "seconds": options.seconds,
        "errors": run.errors,
        "p50_ms": _percentile(found, 0.50) * 1000,
        "p99_ms": _percentile(found, 0.99) * 1000,
        "cpu_s": cpu,
    }


def _percentile(found: list[float], share: float) -> float:
    return found[min(len(found) - 1, int(len(found) * share))] if found else float("nan")


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Point reads of random ids, `GET <path>` with `{id}` replaced."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--ids", type=int, required=True)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--warm", type=float, default=1.0)
    options = parser.parse_args()

    def requests(seed: int) -> Iterator[bytes]:
        chance = random.Random(seed)
        while True:
            path = options.path.replace("{id}", str(chance.randint(1, options.ids)))
            yield (
                f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {options.key}\r\n\r\n"
            ).encode()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(load(options.host, options.port, requests, options))))


if __name__ == "__main__":
    main()
