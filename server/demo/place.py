"""Where a demonstration lives: one directory at a time, swept before and after."""

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from server.demo.errors import DemoRunning, NoRoom, NotOurs
from server.embedded import ClusterSpec, EmbeddedCluster

NEEDED_BYTES: Final = 1_500 * 1024 * 1024
"""Nine servers with their WAL and 130,000 rows take about 0.7 GB; the rest is for experiments."""

_MARKER: Final = ".fluxshard-demo"
"""Only a directory that holds this file is ever removed."""


def default_directory() -> Path:
    """In memory where there is room for it, else in the directory for temporary files."""
    for parent in (Path("/dev/shm"), Path(tempfile.gettempdir())):  # noqa: S108 - a private name below
        if os.access(parent, os.W_OK) and shutil.disk_usage(parent).free > NEEDED_BYTES:
            return parent / f"fluxshard-demo-{os.geteuid()}"
    raise NoRoom("there is no room for the demonstration; name a directory with --dir")


@asynccontextmanager
async def demo_place(directory: Path) -> AsyncIterator[Path]:
    """The directory, emptied of a demonstration that was killed, and swept at the end.

    Raises:
        DemoRunning: Another demonstration lives there.
        NotOurs: Something else does.
    """
    lock = directory.with_name(directory.name + ".lock")
    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "r+") as holder:
        try:
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = holder.read().strip() or "unknown"
            raise DemoRunning(
                f"another demonstration runs in {directory} (process {pid}):"
                " end it first, or choose another directory with --dir"
            ) from error
        holder.truncate(0)
        holder.write(f"{os.getpid()}\n")
        holder.flush()
        await sweep(directory)
        await asyncio.to_thread(_make, directory)
        try:
            yield directory
        finally:
            await sweep(directory)
            lock.unlink(missing_ok=True)


def cluster_in(directory: Path) -> Path:
    """Where the demonstration's cluster is."""
    return directory / "cluster"


async def sweep(directory: Path) -> None:
    """Stop and remove the demonstration in the directory, if there is one.

    Raises:
        NotOurs: There is something else.
    """
    found = await asyncio.to_thread(_look, directory)
    if found is None:
        return
    if found:
        await EmbeddedCluster(ClusterSpec(directory=cluster_in(directory))).destroy()
    await asyncio.to_thread(shutil.rmtree, directory)


def _make(directory: Path) -> None:
    directory.mkdir(mode=0o711, parents=True)
    (directory / _MARKER).touch()


def _look(directory: Path) -> bool | None:
    """Whether the demonstration in the directory has a cluster; None: there is no directory."""
    if not directory.exists():
        return None
    if not (directory / _MARKER).exists() and any(directory.iterdir()):
        raise NotOurs(f"{directory} holds something else; name another directory with --dir")
    return cluster_in(directory).exists()
