"""A result: what was measured where, by which settings, and what came out; as JSON and back.

A result holds runs, one for each thing that is compared (a number of replicas, a peer); a run holds
rounds, the same thing measured again. `figures` are what a command concludes from them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from bench.environment import environment
from bench.errors import ResultUnreadable
from bench.summary import Bucket, Latencies

FORM: Final = "fluxshard-bench/1"
"""Changes when a reader of the old form would misread the new one."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done to the world while it was measured."""

    at_s: float
    """From the beginning of what is measured."""
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One measurement."""

    seed: int
    seconds: float
    latencies: Mapping[str, Latencies]
    """By kind of operation, of those that went well."""
    errors: Mapping[str, int] = field(default_factory=dict)
    served: Mapping[str, int] = field(default_factory=dict)
    """Operations by who answered."""
    accounts: Mapping[str, int] = field(default_factory=dict)
    """Of an open loop: due, sent, late, dropped, unanswered."""
    series: Sequence[Bucket] = ()
    events: Sequence[Event] = ()
    spent: Mapping[str, Any] = field(default_factory=dict)
    """CPU seconds by part, and how busy the box was."""

    @property
    def answered(self) -> int:
        """Operations that went well."""
        return sum(len(latencies) for latencies in self.latencies.values())

    @property
    def rate(self) -> float:
        """The same for each second."""
        return self.answered / self.seconds

    @property
    def failed(self) -> int:
        """Operations that went wrong, or were due and never answered."""
        never = ("dropped", "waiting", "unanswered")
        return sum(self.errors.values()) + sum(self.accounts.get(name, 0) for name in never)

    @property
    def all(self) -> Latencies:
        """The latencies of all kinds together."""
        return Latencies().merged(self.latencies.values())

    def as_json(self) -> dict[str, Any]:
        """The same as a JSON object."""
        return {
            "seed": self.seed,
            "seconds": self.seconds,
            "answered": self.answered,
            "rate": round(self.rate, 2),
            "latencies": {kind: found.as_json() for kind, found in self.latencies.items()},
            "errors": dict(self.errors),
            "served": dict(self.served),
            "accounts": dict(self.accounts),
            "series": [list(asdict(bucket).values()) for bucket in self.series],
            "events": [asdict(event) for event in self.events],
            "spent": dict(self.spent),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """What `as_json` gave."""
        return cls(
            seed=found["seed"],
            seconds=found["seconds"],
            latencies={
                kind: Latencies.from_json(each) for kind, each in found["latencies"].items()
            },
            errors=found["errors"],
            served=found["served"],
            accounts=found["accounts"],
            series=tuple(Bucket(*each) for each in found["series"]),
            events=tuple(Event(**each) for each in found["events"]),
            spent=found["spent"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One of the things that a result compares."""

    name: str
    parameters: Mapping[str, Any]
    world: Mapping[str, Any]
    """Shards, replicas, limit, replication delay: what every figure of it is under."""
    rounds: Sequence[Round]

    def as_json(self) -> dict[str, Any]:
        """The same as a JSON object."""
        return {
            "name": self.name,
            "parameters": dict(self.parameters),
            "world": dict(self.world),
            "rounds": [each.as_json() for each in self.rounds],
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """What `as_json` gave."""
        return cls(
            name=found["name"],
            parameters=found["parameters"],
            world=found["world"],
            rounds=tuple(Round.from_json(each) for each in found["rounds"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Everything that a command found out."""

    command: str
    title: str
    runs: Sequence[Run]
    figures: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    """What plots are drawn from and programs may ask for; no table shows it."""
    notes: Sequence[str] = ()
    """What a reader must know to judge the figures."""
    environment: Mapping[str, Any] = field(default_factory=environment)
    made_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def as_json(self) -> dict[str, Any]:
        """The same as a JSON object."""
        return {
            "form": FORM,
            "command": self.command,
            "title": self.title,
            "made_at": self.made_at,
            "environment": dict(self.environment),
            "figures": dict(self.figures),
            "details": dict(self.details),
            "notes": list(self.notes),
            "runs": [run.as_json() for run in self.runs],
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """What `as_json` gave.

        Raises:
            ResultUnreadable: It is something else.
        """
        if found.get("form") != FORM:
            raise ResultUnreadable(f"it has not the form {FORM}")
        try:
            return cls(
                command=found["command"],
                title=found["title"],
                runs=tuple(Run.from_json(each) for each in found["runs"]),
                figures=found["figures"],
                details=found.get("details", {}),
                notes=tuple(found["notes"]),
                environment=found["environment"],
                made_at=found["made_at"],
            )
        except (KeyError, TypeError) as error:
            raise ResultUnreadable(f"something is missing in it: {error}") from error


def read_result(path: Path) -> Result:
    """The result in a file.

    Raises:
        ResultUnreadable: There is none.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
        return Result.from_json(found if isinstance(found, dict) else {})
    except (OSError, ValueError) as error:
        raise ResultUnreadable(f"{path}: {error}") from error
    except ResultUnreadable as error:
        raise ResultUnreadable(f"{path}: {error.message}") from error


def write_result(result: Result, path: Path) -> None:
    """Write it as JSON."""
    path.write_text(json.dumps(result.as_json(), indent=1, allow_nan=False) + "\n", "utf-8")
