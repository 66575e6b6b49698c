"""What a run says: counts, the share refused by reason, and every difference, smallest first."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from .compare import Answer, Failed, Refused, Verdict
from .statements import Case
from .tenancy import Mode
from .tree import render

EXAMPLES = 3
LONGEST = 600
"""Characters of an answer in the description of a difference."""


@dataclass(slots=True)
class Tally:
    """Counts of one class of statements. Examples are the shortest of each reason."""

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, case: Case, verdict: Verdict) -> None:
        refusal = verdict.refusal
        if verdict.difference:
            self.outcomes["differing"] += 1
        elif refusal is not None and isinstance(verdict.wanted, Failed):
            self.outcomes["rejected by PostgreSQL, and refused"] += 1
        elif refusal is not None:
            self.outcomes["refused"] += 1
            self._refused(case, refusal)
        elif isinstance(verdict.wanted, Answer):
            self.outcomes["answered"] += 1
        else:
            self.outcomes["rejected by PostgreSQL, with the same SQLSTATE"] += 1
        if isinstance(verdict.wanted, Failed):
            self.states[verdict.wanted.sqlstate] += 1

    def _refused(self, case: Case, refusal: Refused) -> None:
        reason = reason_of(refusal)
        self.reasons[reason] += 1
        kept = self.examples[reason]
        kept.append(render(case.part).sql)
        kept.sort(key=len)
        del kept[EXAMPLES:]

    def merge(self, other: Tally) -> None:
        self.outcomes += other.outcomes
        self.reasons += other.reasons
        self.states += other.states
        for reason, examples in other.examples.items():
            self.examples[reason] = sorted([*self.examples[reason], *examples], key=len)[:EXAMPLES]

    @property
    def valid(self) -> int:
        """Statements that PostgreSQL answers."""
        return self.outcomes["answered"] + self.outcomes["refused"] + self.outcomes["differing"]

    @property
    def refused_share(self) -> float:
        return self.outcomes["refused"] / self.valid if self.valid else 0.0


def reason_of(refusal: Refused) -> str:
    """The refusal without the names and numbers of its statement."""
    text = re.sub(r"table \S+", "table …", refusal.message)
    text = re.sub(r'"[^"]*"|\b\d+\b', "…", text)
    return f"{refusal.code} {text}"


CLASSES = ("single-tenant", "cross-tenant", "attacks")


def class_of(case: Case) -> str:
    if case.attack:
        return "attacks"
    return "cross-tenant" if case.mode is Mode.ACROSS else "single-tenant"


@dataclass(slots=True)
class Report:
    """All that a run found out."""

    seed: str
    tallies: dict[str, Tally] = field(default_factory=lambda: {name: Tally() for name in CLASSES})
    differences: list[str] = field(default_factory=list)

    def add(self, case: Case, verdict: Verdict) -> None:
        self.tallies[class_of(case)].add(case, verdict)

    def merge(self, other: Report) -> None:
        for name, tally in other.tallies.items():
            self.tallies[name].merge(tally)
        self.differences += other.differences

    def text(self, *, reasons: int = 40) -> str:
        lines = [f"seed {self.seed}"]
        for name, tally in self.tallies.items():
            total = sum(tally.outcomes.values())
            counts = ", ".join(f"{count} {what}" for what, count in tally.outcomes.most_common())
            lines += [f"{name}: {total} statements: {counts}"]
            if tally.states:
                states = ", ".join(f"{state} {n}" for state, n in tally.states.most_common(12))
                lines.append(
                    f"  PostgreSQL rejected {sum(tally.states.values()) / total:.1%}: {states}"
                )
            lines.append(f"  refused: {tally.refused_share:.1%} of {tally.valid} valid statements")
            for reason, count in tally.reasons.most_common(reasons):
                lines.append(f"  {count:6d}  {count / tally.valid:6.2%}  {reason}")
        lines.append(f"{len(self.differences)} differences")
        return "\n".join(lines)

    def examples(self) -> str:
        return "\n".join(
            f"{name} {count} {reason}\n"
            + "\n".join(f"    {sql!r}" for sql in tally.examples[reason])
            for name, tally in self.tallies.items()
            for reason, count in tally.reasons.most_common()
        )


def described(case: Case, verdict: Verdict, original: str) -> str:
    """A difference, as it is written to the file."""
    text = render(case.part)
    caller = f"tenant {case.scoped}" if case.scoped is not None else "service role"
    form = "JSON" if case.json else "rows"
    return "\n".join(
        [
            f"-- statement {case.number}, {caller}, {form}: {verdict.difference[:LONGEST]}",
            text.sql,
            f"-- arguments: {text.args!r}",
            f"-- wanted: {_short(verdict.wanted)}",
            *(f"-- {name}: {_short(found)}" for name, found in verdict.found.items()),
            f"-- as generated: {original!r}",
            "",
        ]
    )


def _short(outcome: object) -> str:
    if isinstance(outcome, Answer):
        text = f"{outcome.count} rows of {outcome.columns}: {outcome.rows[:8]}"
    else:
        text = repr(outcome)
    return text if len(text) < LONGEST else text[:LONGEST] + " …"
