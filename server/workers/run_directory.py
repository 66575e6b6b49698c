"""A directory that lives as long as one start of the server: what its workers share is in it."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PREFIX: Final = "fluxshard-run-"
_LOCK: Final = "lock"
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the directory below it is made private


@contextmanager
def run_directory() -> Iterator[Path]:
    """A new private directory, in memory where that is possible; removed at the end.

    Those of servers that were killed are removed, too: nobody holds their lock any more.
    """
    parent = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    _remove_abandoned(parent)
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    with (directory / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    for directory in parent.glob(f"{_PREFIX}*"):
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
            shutil.rmtree(directory, ignore_errors=True)
