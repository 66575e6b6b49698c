"""The cluster's directory: what lies where, whose it is, and one change at a time."""

import asyncio
import fcntl
import os
import pwd
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from server.embedded.account import Account
from server.embedded.errors import (
    ClusterBusy,
    ClusterMissing,
    ClusterOfAnother,
    EmbeddedError,
    ForeignDirectory,
    RecordBroken,
    SocketPathTooLong,
    SystemRefused,
)
from server.embedded.processes import alive
from server.embedded.record import ClusterRecord, dump, load

SOCKET_DIRECTORY_BYTES: Final = 88
"""The kernel takes 107 bytes for a whole socket path; PostgreSQL adds `/.s.PGSQL.32767`."""

ORPHAN_LIMIT_S: Final = 3.0
ORPHAN_POLL_S: Final = 0.02

_DESTROYED: Final = ".fluxshard-destroyed-"


@dataclass(frozen=True, slots=True)
class ClusterDirectory:
    """Where each file of a cluster is. `root` is absolute."""

    root: Path

    @property
    def marker(self) -> Path:
        """The file that makes a directory ours; whoever changes the cluster holds its lock."""
        return self.root / ".fluxshard-cluster"

    @property
    def record(self) -> Path:
        """See `record`."""
        return self.root / "cluster.json"

    @property
    def password(self) -> Path:
        """The superuser's password, for us and for `credentials: file:…` of shard maps."""
        return self.root / "password"

    @property
    def passfile(self) -> Path:
        """The same for replicas and PostgreSQL's programs, in libpq's format."""
        return self.root / "pgpass"

    @property
    def data(self) -> Path:
        """A data directory per server, complete as soon as it has its final name."""
        return self.root / "data"

    @property
    def sockets(self) -> Path:
        """Where Unix sockets are."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        """A log per server."""
        return self.root / "log"

    @property
    def binaries(self) -> Path:
        """A copy of the PostgreSQL programs, where the servers' account needs one."""
        return self.root / "binaries"

    def data_of(self, server: str) -> Path:
        """The server's data directory."""
        return self.data / server

    def making_of(self, server: str) -> Path:
        """Where that directory is made. Whatever is found there is half-made."""
        return self.data / f"{server}.new"

    def replaced_of(self, server: str) -> Path:
        """Where a data directory goes that another one has replaced, to be removed."""
        return self.data / f"{server}.old"

    def rewinding_of(self, server: str) -> Path:
        """The file that is there while pg_rewind works: the data is unusable until it is done."""
        return self.data / f"{server}.rewinding"

    def log_of(self, server: str) -> Path:
        """The server's log."""
        return self.logs / f"{server}.log"

    def require_ours(self) -> None:
        """Make sure that a cluster is here.

        Raises:
            ClusterMissing: Nothing is here.
            ForeignDirectory: Something else is here.
            ClusterOfAnother: It is another user's.
        """
        if not self.marker.exists():
            if self._vacant():
                raise ClusterMissing(self.root)
            raise ForeignDirectory(self.root)
        owner = self.marker.stat().st_uid
        if owner != os.geteuid():
            raise ClusterOfAnother(self.root, _user(owner))

    def claim(self) -> None:
        """Make the directory ours if nothing is in it."""
        if not self.marker.exists() and self._vacant():
            missing = [path for path in (self.root, *self.root.parents) if not path.exists()]
            for path in reversed(missing):
                path.mkdir(exist_ok=True)
                if os.geteuid() == 0:  # the servers' account has to get through, whatever the umask
                    path.chmod(0o755)
            self.marker.touch(mode=0o600)
            sync_directory(self.root)

    def _vacant(self) -> bool:
        return not self.root.exists() or (self.root.is_dir() and not any(self.root.iterdir()))

    @asynccontextmanager
    async def changing(self, *, claim: bool = False) -> AsyncIterator[None]:
        """Hold the right to change the cluster; it ends with the process, however that ends.

        Raises:
            ClusterBusy: Another process has it.
            ClusterMissing: There is none; with `claim`, another process has just destroyed it.
            ForeignDirectory: Something else is here.
            ClusterOfAnother: It is another user's.
            SystemRefused: The operating system does not let us do what we try meanwhile.
        """
        try:
            if claim:
                self.claim()
            self.require_ours()
            with self.marker.open("r+") as lock:
                await self._acquire(lock)
                if not _same(lock.fileno(), self.marker):
                    raise ClusterMissing(self.root)
                lock.seek(0)
                lock.truncate()
                lock.write(f"{os.getpid()}\n")
                lock.flush()
                try:
                    yield
                finally:
                    lock.seek(0)
                    lock.truncate()
        except OSError as error:
            raise SystemRefused(self.root, error) from error

    async def _acquire(self, lock: TextIO) -> None:
        """Take the lock.

        When its holder was just killed, a child that it was starting still has it, for the moment
        until that has become a program of its own. Waiting for it means that `clear` finds it.
        """
        waited_s = 0.0
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lock.seek(0)
                text = lock.read().strip()
                holder = int(text) if text.isdecimal() else None
                if (holder is not None and alive(holder)) or waited_s > ORPHAN_LIMIT_S:
                    raise ClusterBusy(self.root, holder) from error
                await asyncio.sleep(ORPHAN_POLL_S)
                waited_s += ORPHAN_POLL_S
            else:
                return

    def furnish(self, account: Account) -> None:
        """Make the directories and secrets that are not there yet, with their owners."""
        self.root.chmod(0o711 if account.switch else 0o700)
        self.logs.mkdir(mode=0o700, exist_ok=True)
        for path, mode in ((self.data, 0o700), (self.sockets, 0o711)):
            path.mkdir(exist_ok=True)
            account.owns(path)
            path.chmod(mode)
        if not self.password.exists():
            write_file(self.password, secrets.token_hex(24) + "\n")
        secret = self.secret()
        write_file(self.passfile, f"*:*:*:*:{secret}\n", account)

    def secret(self) -> str:
        """The superuser's password.

        Raises:
            RecordBroken: The file is missing.
        """
        try:
            return self.password.read_text().strip()
        except FileNotFoundError as error:
            raise RecordBroken(
                f"{self.password} is missing",
                hint="Restore the file: the servers know the password only as a hash.",
            ) from error

    def read_record(self) -> ClusterRecord | None:
        """The cluster's record, or None when `up` has not come so far yet.

        Raises:
            RecordBroken: It cannot be read, or it is gone and data is there.
        """
        try:
            return load(self.record.read_text(), self.record)
        except FileNotFoundError as error:
            if self.data.exists() and any(self.data.iterdir()):
                raise RecordBroken(
                    f"{self.record} is missing, and {self.data} holds data",
                    hint="Restore the file, or destroy the cluster.",
                ) from error
            return None

    def write_record(self, record: ClusterRecord) -> None:
        """Replace the record, atomically and durably."""
        write_file(self.record, dump(record))

    def sweep(self) -> None:
        """Remove what an interrupted `erase` has left."""
        for path in self.root.glob(f"{_DESTROYED}*"):
            erase_tree(path)

    def erase(self) -> None:
        """Remove everything of ours.

        Interrupted at any moment, it leaves no cluster with holes, but a whole one, or trash that
        is known as such.
        """
        if self.data.exists():
            self.data.rename(self.root / f"{_DESTROYED}{secrets.token_hex(4)}")
            sync_directory(self.root)
        self.record.unlink(missing_ok=True)
        self.sweep()
        for path in (self.binaries, self.sockets, self.logs):
            erase_tree(path)
        for path in (self.password, self.passfile, self.record):
            path.unlink(missing_ok=True)
            _writing(path).unlink(missing_ok=True)
        self.marker.unlink()
        with suppress(OSError):  # not empty: something of the user's own is in it
            self.root.rmdir()


def require_socket_path(directory: ClusterDirectory) -> None:
    """Make sure that sockets can be made in the directory.

    Raises:
        SocketPathTooLong: They cannot.
    """
    if len(os.fsencode(directory.sockets)) > SOCKET_DIRECTORY_BYTES:
        raise SocketPathTooLong(directory.sockets, SOCKET_DIRECTORY_BYTES)


def write_file(path: Path, text: str, account: Account | None = None) -> None:
    """Replace a file's content: a reader, or a crash, meets the old text or the new one.

    The mode is 0600, the owner is the account, else who runs us.
    """
    writing = _writing(path)
    writing.unlink(missing_ok=True)
    descriptor = os.open(writing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        if account is not None and account.switch:
            os.fchown(descriptor, account.uid, account.gid)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    writing.rename(path)
    sync_directory(path.parent)


def _writing(path: Path) -> Path:
    """Where the new content of a file is until it is whole."""
    return path.with_name(f".{path.name}.writing")


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def erase_tree(path: Path) -> None:
    """Remove a directory with all that is in it, if it is there.

    Raises:
        EmbeddedError: Something keeps making files in it.
    """
    for _ in range(5):
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            if not path.exists():
                return
        except OSError as error:
            failure = error
        else:
            return
    raise EmbeddedError(f"{path} cannot be removed: {failure}") from failure


def _same(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one at the path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user id {uid}"
