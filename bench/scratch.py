"""Where a world is built: gone afterwards, also when the harness was killed."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from server.embedded import ClusterSpec, EmbeddedCluster, EmbeddedError, Sockets
from server.owned_directory import abandoned, owned_directory

CLUSTER: Final = "cluster"
"""The directory of the servers in that of the world."""
_PREFIX: Final = "fluxshard-bench-"


@asynccontextmanager
async def scratch(parent: Path, progress: Callable[[str], None]) -> AsyncIterator[Path]:
    """A new directory, for as long as the context lasts; what others left behind is removed."""
    await remove_abandoned(parent, progress)
    with owned_directory(parent, _PREFIX) as directory:
        directory.chmod(0o711)  # servers may run under another account
        yield directory


async def remove_abandoned(
    parent: Path,
    progress: Callable[[str], None],
    destroyed: Callable[[Path], Awaitable[None]] | None = None,
) -> None:
    """Remove what was left behind by processes that were killed; `destroyed` ends its servers."""
    for directory in abandoned(parent, _PREFIX):
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
