"""The errors of migrations; a class says what the operator should do.

MigrateError
├── FilesRefused       G101  the directory holds what is no migration, all listed    change the files
├── HistoryRefused     G102  files and ledgers contradict each other, all listed     restore the files
├── LintRefused        G103  findings that break running code or mix tenants         change, or --allow
├── MigrationLocked    G104  somebody else migrates at the moment                    wait for them
├── LockNotGranted     G105  other transactions kept a lock for all of the time      end them, run again
├── StatementFailed    G106  PostgreSQL refused a statement; what is done is kept    change, run again
├── NoWayDown          G107  a version has no down file                              write one
├── DatabaseAway       G108  a database does not answer, or is not who it should be  run again
├── LockLost           G109  the session that kept others out has ended              run again
└── OutcomeUnknown     G110  a statement was begun, and nobody saw its end           look, --redo or --skip

Codes are public, documented in docs/errors.md and never reused.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.migrate.findings import Finding


class MigrateError(Exception):
    """Anything that keeps migrations from being done. `lines` are what the operator reads."""

    code = "G100"

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


class FilesRefused(MigrateError):
    """Files of the directory are no migrations, or contradict each other."""

    code = "G101"


class HistoryRefused(MigrateError):
    """What was applied is not what the directory holds."""

    code = "G102"


class LintRefused(MigrateError):
    """The lint found what breaks running code, or what no shard map allows."""

    code = "G103"

    def __init__(self, findings: "Sequence[Finding]") -> None:
        super().__init__(*(str(finding) for finding in findings))
        self.findings = tuple(findings)


class MigrationLocked(MigrateError):
    """Another session has the lock under which migrations run."""

    code = "G104"


class LockNotGranted(MigrateError):
    """A statement did not get its lock in any of the tries."""

    code = "G105"


class StatementFailed(MigrateError):
    """PostgreSQL refused a statement of a file. `sqlstate` is its own code."""

    code = "G106"

    def __init__(self, message: str, sqlstate: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class NoWayDown(MigrateError):
    """A version to be undone has no down file."""

    code = "G107"


class DatabaseAway(MigrateError):
    """A database does not answer, has no primary, or is another shard's."""

    code = "G108"


class LockLost(MigrateError):
    """The session on the catalog that holds the lock has ended; nothing more was begun."""

    code = "G109"


class OutcomeUnknown(MigrateError):
    """A statement that runs outside of a transaction was begun, and its end is not known."""

    code = "G110"
