"""The System V segment of a killed server, which the kernel keeps until somebody removes it.

PostgreSQL finds its own again when it restarts on the same data. A cluster that is destroyed after
a kill never does, and the machine has room for a few thousand.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from server.embedded.account import Account

_SEGMENTS: Final = Path("/proc/sysvipc/shm")
_KEY_LINE: Final = 6
"""Of postmaster.pid: key and id of the segment (pidfile.h, LOCK_FILE_LINE_SHMEM_KEY)."""


def release(account: Account, pid_file: Sequence[str]) -> None:
    """Remove the segment that the pid file names, if it is the account's and nobody uses it.

    Without the program ipcrm (util-linux) it stays, which costs 56 bytes.
    """
    ipcrm = shutil.which("ipcrm")
    words = pid_file[_KEY_LINE].split() if len(pid_file) > _KEY_LINE else []
    if ipcrm is None or len(words) != 2 or not _unused(*words, uid=account.uid):
        return
    subprocess.run(
        [ipcrm, "--shmem-id", words[1]],
        check=False,  # somebody else was faster
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        **account.process_options,
    )


def _unused(key: str, segment: str, *, uid: int) -> bool:
    """Whether the kernel has this segment of the user, with nobody attached."""
    try:
        head, *rows = (line.split() for line in _SEGMENTS.read_text().splitlines())
    except FileNotFoundError:
        return False
    column = {name: head.index(name) for name in ("key", "shmid", "nattch", "uid")}
    return any(
        (row[column["key"]], row[column["shmid"]], row[column["nattch"]], row[column["uid"]])
        == (key, segment, "0", str(uid))
        for row in rows
    )
