"""What a look at the servers of a map may find, how grave it is, and what to do about it.

docs/shard-map.md lists the rules for people.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from shardmap.ids import ShardId


class Severity(StrEnum):
    """What a finding stands in the way of. A server that runs goes on whatever is found."""

    UNSAFE = "unsafe"
    """A statement could touch another tenant's rows: no map is applied, no server starts."""
    ERROR = "error"
    """Tenants learn of each other's ids, or rows collide: no map is applied; a start warns."""
    WARNING = "warning"
    """Told when a map is applied and when a server starts."""
    NOTE = "note"
    """Told by `map lint --live` only."""


class Rule(StrEnum):
    """What was broken; public names, as they are documented."""

    TABLE_MISSING = "table-missing"
    TENANT_COLUMN_MISSING = "tenant-column-missing"
    TENANT_COLUMN_TYPE = "tenant-column-type"
    TENANT_COLUMN_COLLATION = "tenant-column-collation"
    TENANT_COLUMN_NULL = "tenant-column-null"
    KEY_SPANS_TENANTS = "key-spans-tenants"
    FOREIGN_KEY_SPANS_TENANTS = "foreign-key-spans-tenants"
    FOREIGN_KEY_LEAVES_SHARD = "foreign-key-leaves-shard"
    GLOBAL_UNIQUE_COLUMN = "global-unique-column"
    GLOBAL_UNIQUE_UNGUARDED = "global-unique-unguarded"
    SHARD_IDENTITY = "shard-identity"
    SHARD_NUMBER = "shard-number"
    UNIQUE_ID_MISSING = "unique-id-missing"
    IDS_BY_CLIENTS = "ids-by-clients"
    SEQUENCES_OVERLAP = "sequences-overlap"
    ROW_SECURITY_OFF = "row-security-off"

    @property
    def severity(self) -> Severity:
        """How grave breaking it is."""
        return _SEVERITIES.get(self, Severity.ERROR)


_SEVERITIES: Final[Mapping[Rule, Severity]] = {
    Rule.TENANT_COLUMN_TYPE: Severity.UNSAFE,
    Rule.TENANT_COLUMN_COLLATION: Severity.UNSAFE,
    Rule.SHARD_NUMBER: Severity.UNSAFE,
    Rule.GLOBAL_UNIQUE_UNGUARDED: Severity.WARNING,
    Rule.IDS_BY_CLIENTS: Severity.WARNING,
    Rule.SEQUENCES_OVERLAP: Severity.WARNING,
    Rule.ROW_SECURITY_OFF: Severity.NOTE,
}
"""The others are errors."""

REFUSING: Final = frozenset({Severity.UNSAFE, Severity.ERROR})
"""What keeps a map from being applied."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule: where (a dotted path of the map), what, and what to do."""

    rule: Rule
    path: str
    message: str
    hint: str = ""

    @property
    def severity(self) -> Severity:
        """How grave it is."""
        return self.rule.severity

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"

    def lines(self, verdict: str) -> list[str]:
        """For people: the finding behind the verdict, with its rule, then what to do."""
        first = f"{verdict}: {self} [{self.rule}]"
        return [first, *(f"    {line}" for line in self.hint.splitlines())]


def merged(found: Mapping[ShardId, Sequence[Finding]]) -> tuple[Finding, ...]:
    """The findings of several databases, each said once with the shards that have it."""
    shards: dict[Finding, list[str]] = {}
    for shard, findings in found.items():
        for finding in findings:
            shards.setdefault(finding, []).append(shard)
    return tuple(
        replace(finding, message=f"{finding.message} (on {', '.join(names)})")
        for finding, names in shards.items()
    )
