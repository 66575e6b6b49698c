"""Where a world is built: in memory if possible, and gone afterwards, also when the harness was killed.

Whoever builds a world holds a lock in its directory, which ends with the process. A directory whose
lock nobody holds was left behind: the next start ends the servers in it and removes it.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from server.embedded import ClusterSpec, EmbeddedCluster, EmbeddedError, Sockets

CLUSTER: Final = "cluster"
"""The directory of the servers in that of the world."""
_PREFIX: Final = "fluxshard-bench-"
_LOCK: Final = "lock"


def in_memory() -> Path:
    """A place in memory for files, where there is one."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())


@asynccontextmanager
async def scratch(parent: Path, progress: Callable[[str], None]) -> AsyncIterator[Path]:
    """A new directory, for as long as the context lasts; what others left behind is removed."""
    await remove_abandoned(parent, progress)
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    directory.chmod(0o711)  # servers may run under another account
    with (directory / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)


async def remove_abandoned(
    parent: Path,
    progress: Callable[[str], None],
    destroyed: Callable[[Path], Awaitable[None]] | None = None,
) -> None:
    """Remove what was left behind by processes that were killed; `destroyed` ends its servers."""
    for directory in sorted(parent.glob(f"{_PREFIX}*")):
        try:
            if directory.lstat().st_uid != os.geteuid():
                continue
            lock = (directory / _LOCK).open("r+")
        except OSError:  # just being made, or just being removed
            continue
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            progress(f"removing {directory}, which was left behind")
            try:
                if (directory / CLUSTER).exists():
                    await (destroyed or _destroy)(directory / CLUSTER)
            except EmbeddedError as error:
                progress(f"it stays: {error.message}")
                continue
            shutil.rmtree(directory, ignore_errors=True)


async def _destroy(directory: Path) -> None:
    await EmbeddedCluster(ClusterSpec(directory=directory, listen=Sockets())).destroy()
