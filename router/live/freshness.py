"""How far a reader has seen: positions in a shard's WAL, and the floor of each session.

A floor is the position that a session has written or read on a shard. An endpoint may answer the
session once it has replayed as far, so that nobody misses an own write or sees time run backwards.
"""

import mmap
import os
import zlib
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self

from shardmap import ShardId

CELLS: Final = 65_536
"""Floors per shard. Two sessions may share one: then the higher floor holds for both."""

_LSN_BITS: Final = 52
_LSN_MASK: Final = (1 << _LSN_BITS) - 1
_MAX_TIMELINE: Final = (1 << 12) - 1
UNREACHABLE: Final = (_MAX_TIMELINE << _LSN_BITS) | _LSN_MASK
"""The cell of a position that does not fit: no endpoint reaches it, so the primary answers."""


class Position(NamedTuple):
    """A place in the WAL of one shard. `lsn` counts bytes, across all timelines."""

    timeline: int
    lsn: int


class Floors(Protocol):
    """The floors of sessions and tenants. Both calls cost a few microseconds and never wait."""

    def floor(self, session: str, shard: ShardId) -> Position | None:
        """What an endpoint must have reached to answer the session; None: anything will do."""
        ...

    def raise_to(self, session: str, shard: ShardId, position: Position) -> None:
        """Make sure that the session never reads what is older than `position`."""
        ...


def higher(left: Position | None, right: Position | None) -> Position | None:
    """The lowest position that is before neither; None is before everything."""
    if left is None or right is None:
        return right if left is None else left
    return Position(max(left.timeline, right.timeline), max(left.lsn, right.lsn))


def pack(position: Position) -> int:
    """The cell of a position: 12 bits of timeline, 52 bits of LSN in units of 8 bytes.

    Rounded up, so that what comes out is never before what went in.
    """
    units = (position.lsn + 7) >> 3
    if not (0 <= position.timeline <= _MAX_TIMELINE and 0 <= units <= _LSN_MASK):
        return UNREACHABLE
    return (position.timeline << _LSN_BITS) | units


def unpack(cell: int) -> Position:
    """The position of a cell, at most 7 bytes after the one that was packed."""
    return Position(cell >> _LSN_BITS, (cell & _LSN_MASK) << 3)


def join(left: int, right: int) -> int:
    """The lowest cell that is not before either of two, in timeline and in LSN.

    Not the larger number: timeline 2 at a low LSN must not make us forget a high LSN of timeline 1.
    """
    if right in {0, left}:
        return left
    timeline = max(left >> _LSN_BITS, right >> _LSN_BITS)
    return (timeline << _LSN_BITS) | max(left & _LSN_MASK, right & _LSN_MASK)


def cell_of(session: str) -> int:
    """The index of a session's cell: CRC-32, so the same in every process, at 0.1 microseconds."""
    return zlib.crc32(session.encode("utf-8", "surrogatepass")) % CELLS  # a power of two


class SharedFloors:
    """Floors in files that the workers of one port map into memory, one file per shard.

    A file holds one region of 65,536 cells for each worker. A worker writes only its own region,
    so no update is lost without a lock; a floor is the join over all regions, so a write through
    one worker is seen by a read through the next. An aligned cell of 8 bytes is read and written
    whole. Sessions that share a cell only raise each other's floor: never stale, at worst slower.

    `directory` belongs to one start of the server; without one the floors are this process's own.
    """

    def __init__(self, directory: Path | None, worker: int = 0, workers: int = 1) -> None:
        if not 0 <= worker < workers:
            raise ValueError(f"worker {worker} of {workers} does not exist")
        self._directory = directory
        self._worker = worker
        self._workers = workers
        self._tables: dict[ShardId, tuple[memoryview, mmap.mmap]] = {}
        self._regions: dict[ShardId, tuple[memoryview, ...]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for regions in self._regions.values():
            for region in regions:
                region.release()
        for cells, memory in self._tables.values():
            cells.release()
            memory.close()
        self._regions.clear()
        self._tables.clear()

    def floor(self, session: str, shard: ShardId) -> Position | None:
        """What an endpoint must have reached to answer the session; None: anything will do."""
        regions = self._regions.get(shard) or self._open(shard)
        index = cell_of(session)
        found = 0
        for region in regions:
            cell = region[index]
            if cell:
                found = join(cell, found)
        return Position(found >> _LSN_BITS, (found & _LSN_MASK) << 3) if found else None

    def raise_to(self, session: str, shard: ShardId, position: Position) -> None:
        """Make sure that the session never reads what is older than `position`."""
        regions = self._regions.get(shard) or self._open(shard)
        own = regions[self._worker]
        index = cell_of(session)
        old = own[index]
        new = join(pack(position), old)
        if new != old:
            own[index] = new

    def _open(self, shard: ShardId) -> tuple[memoryview, ...]:
        size = CELLS * 8 * self._workers
        if self._directory is None:
            memory = mmap.mmap(-1, size)
        else:
            memory = _mapped(self._directory / f"{_file_name(shard)}.floors", size)
        cells = memoryview(memory).cast("Q")
        regions = tuple(cells[at : at + CELLS] for at in range(0, CELLS * self._workers, CELLS))
        self._tables[shard] = (cells, memory)
        self._regions[shard] = regions
        return regions


def _mapped(path: Path, size: int) -> mmap.mmap:
    """The file as shared memory; made full of zeros (sparse) by whoever comes first."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_size != size:
            os.ftruncate(descriptor, size)
        return mmap.mmap(descriptor, size)
    finally:
        os.close(descriptor)


def _file_name(shard: ShardId) -> str:
    """A file name for the shard: its own name where that is safe, and always distinct."""
    digest = blake2b(shard.encode(), digest_size=4).hexdigest()
    readable = "".join(c for c in shard if c.isascii() and (c.isalnum() or c in "-_"))[:40]
    return f"{readable}-{digest}"
