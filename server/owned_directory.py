"""Directories that live as long as the process that made them, however that ends.

Whoever makes one holds a lock in it, which ends with the process (flock(2)). One whose lock nobody
holds was left behind.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_LOCK: Final = "lock"


def in_memory() -> Path:
    """A place in memory for files, where there is one."""
    memory = Path("/dev/shm")  # noqa: S108 - the directories below it are made private
    return memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())


@contextmanager
def owned_directory(parent: Path, prefix: str) -> Iterator[Path]:
    """A new private directory; removed at the end."""
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        with (directory / f"{_LOCK}.new").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # it gets its name when it is held, so that nobody takes the directory for abandoned
            (directory / f"{_LOCK}.new").rename(directory / _LOCK)
            yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def abandoned(parent: Path, prefix: str) -> Iterator[Path]:
    """The directories that processes which were killed have left. Each is ours until the next."""
    for directory in sorted(parent.glob(f"{prefix}*")):
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
            yield directory
