"""Why a tenant cannot be taken out, brought in or deleted.

TenantError
├── ArchiveUnusable   T101  the file is no archive of ours, or damaged       take another
└── TenantRefused     T102  what is there does not allow it, all listed      the operator must change it

Codes are public, documented in docs/errors.md and never reused.
"""

from collections.abc import Sequence


class TenantError(Exception):
    """Anything that keeps a tenant from being exported, imported or deleted."""

    code = "T100"

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


class ArchiveUnusable(TenantError):
    """The file is no archive, its checksums do not hold, or it holds rows of another tenant."""

    code = "T101"


class TenantRefused(TenantError):
    """Rows are there already, tables differ, or a move is under way. Nothing was changed."""

    code = "T102"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(*problems)
