"""Where workers show each other what they counted, so that any of them can tell the sum.

Each worker writes its snapshot into a file of its own, at most once a second; whoever is asked
adds the files of the others to its own numbers. What a worker counted stays when it ends, its
gauges do not: the supervisor marks the file of a worker that ended.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import orjson

from router import TaskOwner
from server.observe.exposition import Gauges, exposition, gauges_of, gauges_snapshot, joined
from server.observe.tally import Tally

PUBLISH_INTERVAL_S: Final = 1.0
"""How old the numbers of other workers may be. Prometheus asks every 15 s or so."""

_ENDED: Final = "ended.json"


class Board:
    """Numbers of this worker and, through files in `directory`, of the others.

    Without a directory there are no others. `gauges` reads this worker's gauges; `number` is one
    that no other worker had since the server's start. As a context it publishes from time to
    time, and once more at its end.
    """

    def __init__(
        self,
        tally: Tally,
        gauges: Callable[[], Gauges],
        directory: Path | None = None,
        number: int = 0,
    ) -> None:
        self._tally = tally
        self._gauges = gauges
        self._directory = directory
        self._number = number
        self._tasks = TaskOwner()

    async def __aenter__(self) -> Self:
        if self._directory is not None:
            self._tasks.start(self._keep(), name="publish metrics")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._tasks.__aexit__(kind, error, trace)
        if self._directory is not None:
            self.publish()

    def publish(self) -> None:
        """Show the others the numbers of this moment.

        Without room on the disk they go on with the older ones.
        """
        if self._directory is None:
            return
        snapshot = {**self._tally.snapshot(), "gauges": gauges_snapshot(self._gauges())}
        with suppress(OSError):
            _write(self._directory / _live(self._number), snapshot)

    def text(self) -> bytes:
        """The numbers of all workers, as Prometheus reads them."""
        others = list(self._others())
        tally = Tally.of([self._tally.snapshot(), *others])
        gauges = joined([self._gauges(), *(gauges_of(other["gauges"]) for other in others)])
        return exposition(tally, gauges)

    def _others(self) -> Iterator[dict[str, Any]]:
        if self._directory is None:
            return
        ended = _read(self._directory / _ENDED)
        passed = {_live(self._number)}
        if ended is not None:
            passed.update(map(_live, ended["numbers"]))
            yield ended
        for file in sorted(self._directory.glob(_live("*"))):
            if file.name not in passed and (snapshot := _read(file)) is not None:
                yield snapshot

    async def _keep(self) -> None:
        while True:
            self.publish()
            await asyncio.sleep(PUBLISH_INTERVAL_S)


def mark_ended(directory: Path, number: int) -> None:
    """Keep what an ended worker counted, and forget its gauges. For the supervisor.

    All ended workers share one file, which names them, so a reader counts none of them twice and
    a worker that crashes a thousand times leaves one file.
    """
    counted = _read(directory / _live(number))
    if counted is None:
        return
    before = _read(directory / _ENDED)
    numbers = [] if before is None else before["numbers"]
    tally = Tally.of([counted] if before is None else [counted, before])
    _write(directory / _ENDED, {**tally.snapshot(), "gauges": [], "numbers": [*numbers, number]})
    (directory / _live(number)).unlink()


def _live(number: int | str) -> str:
    return f"worker-{number}.json"


def _write(file: Path, snapshot: dict[str, Any]) -> None:
    """Replace the file at once, so that no reader sees half of it."""
    fresh = file.with_suffix(".new")
    fresh.write_bytes(orjson.dumps(snapshot))
    fresh.replace(file)


def _read(file: Path) -> dict[str, Any] | None:
    """The snapshot in a file; None when it is gone, for its worker may just have ended."""
    try:
        snapshot: dict[str, Any] = orjson.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    return snapshot
