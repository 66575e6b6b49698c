"""A directory that lives as long as one start of the server: what its workers share is in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from server.owned_directory import abandoned, in_memory, owned_directory

_PREFIX: Final = "fluxshard-run-"


@contextmanager
def run_directory() -> Iterator[Path]:
    """A new private directory, in memory where that is possible; removed at the end.

    Those of servers that were killed are removed, too.
    """
    parent = in_memory()
    for directory in abandoned(parent, _PREFIX):
        shutil.rmtree(directory, ignore_errors=True)
    with owned_directory(parent, _PREFIX) as directory:
        yield directory
