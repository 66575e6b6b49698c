"""What the lint may say: each finding has a code, a place, a reason and a way out."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Severity(StrEnum):
    """Errors keep `up` from running; warnings are printed."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that the lint looks for. `why` and `hint` do not depend on the statement."""

    severity: Severity
    why: str
    hint: str


ERROR: Final = Severity.ERROR
WARNING: Final = Severity.WARNING

RULES: Final[Mapping[str, Rule]] = {
    "L101": Rule(
        ERROR,
        "running code may still use it",
        "Release code that no longer uses it first; then allow it: L101.",
    ),
    "L102": Rule(
        ERROR,
        "running code may still read or write the column",
        "Release code that no longer uses it first; then allow it: L102.",
    ),
    "L103": Rule(
        ERROR,
        "code of before and code of after cannot both work with one name",
        "Add the new one, write both, copy, read the new one, drop the old one.",
    ),
    "L104": Rule(
        ERROR,
        "the type changes under running code, and the table is usually written anew behind an"
        " exclusive lock",
        "Add a column of the new type, write both, copy, switch, drop the old one.",
    ),
    "L105": Rule(
        ERROR,
        "the whole table is read behind an exclusive lock, and code that leaves it out fails",
        "Give a default; or add CHECK (… IS NOT NULL) NOT VALID, validate it in another file, then"
        " SET NOT NULL (which uses the check) and allow it: L105.",
    ),
    "L106": Rule(
        ERROR,
        "the whole table is written anew behind an exclusive lock",
        "Add the column without it, fill it in batches, then set the default.",
    ),
    "L107": Rule(
        ERROR,
        "both tables are locked against writes while all rows are checked",
        "Add it NOT VALID, and VALIDATE CONSTRAINT in another file.",
    ),
    "L108": Rule(
        ERROR,
        "the table is locked while all rows are checked",
        "Add it NOT VALID, and VALIDATE CONSTRAINT in another file.",
    ),
    "L109": Rule(
        ERROR,
        "the table is locked against writes until the index is done",
        "Use CONCURRENTLY, in a file of its own.",
    ),
    "L110": Rule(
        ERROR,
        "the table is locked while the index for it is built",
        "CREATE UNIQUE INDEX CONCURRENTLY in one file, ADD CONSTRAINT … USING INDEX in the next.",
    ),
    "L111": Rule(
        ERROR, "it holds up everybody else", "Leave it out: each statement takes what it needs."
    ),
    "L112": Rule(
        ERROR,
        "the table is locked against reads and writes while it is written anew",
        "Use CONCURRENTLY where there is such a form, or a time without traffic.",
    ),
    "L113": Rule(
        WARNING,
        "code, views or policies may still use it",
        "Release code that no longer uses it first.",
    ),
    "L114": Rule(
        WARNING,
        "the locks of the change of schema are held while rows are changed",
        "Change rows in a file of their own, best in batches with no-transaction.",
    ),
    "L115": Rule(
        WARNING,
        "if it fails in between, what came before stays; running it again goes on from there",
        "Give each statement that cannot run in a transaction a file of its own.",
    ),
    "L116": Rule(
        ERROR,
        "an index that a failed build leaves behind is found again by its name",
        "Name the index.",
    ),
    "L117": Rule(WARNING, "all rows of the table are lost", "Make sure that nobody needs them."),
    "L201": Rule(
        ERROR,
        "the shard map does not say where its rows are",
        "Place it first, under tables: of the shard map (fluxshard map get, edit, apply).",
    ),
    "L202": Rule(
        ERROR,
        "a key that spans tenants tells one tenant of another's rows, and rows collide when a"
        " tenant moves",
        "Put the tenant column into the key.",
    ),
    "L203": Rule(
        ERROR,
        "no database has all of these relations",
        "Split the statement, or say where it runs: -- fluxshard: only: shards (catalog, all).",
    ),
    "L204": Rule(
        ERROR,
        "the rows that it refers to may be in another database, or another tenant's",
        "Refer to a sharded table by tenant and id, or to a reference table.",
    ),
    "L205": Rule(
        ERROR,
        "each shard would compute a value of its own, and the copies would differ",
        "Write the values out.",
    ),
    "L206": Rule(
        ERROR,
        "each row of a sharded table belongs to one tenant",
        "Give it the tenant column that the shard map names, NOT NULL.",
    ),
    "L207": Rule(
        ERROR,
        "every shard would get the same rows, whoever owns their tenants",
        "Insert rows of tenants through the API.",
    ),
    "L208": Rule(
        ERROR,
        "the place of the statements behind it is decided by their names as public.name",
        "Write names with their schema.",
    ),
    "L209": Rule(
        WARNING,
        "each shard counts by itself, so that rows of two shards have the same numbers and clash"
        " when a tenant moves",
        "Let fluxshard.next_id() be the default of a bigint column.",
    ),
}
UNALLOWABLE: Final = frozenset({"L203"})
"""Findings that leave no place to run at; only another statement or `only:` resolves them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One place that a rule does not like. `what` says what stands there."""

    code: str
    file: str
    line: int
    what: str
    allowed: bool = False

    @property
    def rule(self) -> Rule:
        """The rule behind the code."""
        return RULES[self.code]

    @property
    def blocks(self) -> bool:
        """Whether `up` is refused because of it."""
        return self.rule.severity is ERROR and not self.allowed

    def __str__(self) -> str:
        label = "allowed" if self.allowed else self.rule.severity
        return (
            f"{self.file}:{self.line}: {self.code} {label}: {self.what}: {self.rule.why}."
            f" {self.rule.hint}"
        )

    def document(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "code": self.code,
            "severity": self.rule.severity.value,
            "allowed": self.allowed,
            "file": self.file,
            "line": self.line,
            "what": self.what,
            "why": self.rule.why,
            "hint": self.rule.hint,
        }
