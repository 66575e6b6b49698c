"""Which system account runs the servers: PostgreSQL refuses root."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from server.embedded.errors import AccountMissing, DirectoryUnreachable

CANDIDATES: Final = ("postgres", "nobody")
"""Accounts that root uses for the servers, the better one first."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the servers. `switch`: that is somebody else than who runs us."""

    name: str
    uid: int
    gid: int
    switch: bool

    @property
    def process_options(self) -> dict[str, Any]:
        """What `subprocess` needs to become this account."""
        if not self.switch:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def owns(self, *paths: Path) -> None:
        """Give the files to the account."""
        if self.switch:
            for path in paths:
                os.chown(path, self.uid, self.gid)


def server_account(data: Path) -> Account:
    """The account of the cluster whose data is in `data` (or will be, when it does not exist).

    Raises:
        AccountMissing: There is none that PostgreSQL would run as.
    """
    own = os.geteuid()
    if own != 0:
        return _entry(own)
    if data.exists():
        owner = data.stat().st_uid
        if owner != 0:
            return _entry(owner, switch=True)
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid, switch=True)
    raise AccountMissing(
        f"PostgreSQL does not run as root, and there is no account {' or '.join(CANDIDATES)}",
        hint="Run this as an ordinary user.",
    )


def _entry(uid: int, *, switch: bool = False) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError as error:
        raise AccountMissing(
            f"the user id {uid} has no entry in the user database, which PostgreSQL needs",
            hint="Add the user to /etc/passwd.",
        ) from error
    return Account(entry.pw_name, uid, entry.pw_gid, switch=switch)


def require_reach(account: Account, directory: Path) -> None:
    """Make sure that the account can enter the directory, by trying it.

    Raises:
        DirectoryUnreachable: It cannot.
    """
    if not account.switch:
        return
    entered = subprocess.run(
        ["/bin/sh", "-c", 'cd "$1"', "sh", str(directory)],
        check=False,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **account.process_options,
    )
    if entered.returncode != 0:
        raise DirectoryUnreachable(directory, account.name)
