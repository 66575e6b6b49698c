"""What a generator writes down of each operation, and how several generators' notes are one.

A sample is when the operation was due and how long it took. Samples are kept as they are (16 bytes
each) until the end, so that writing one down costs little and nothing is lost by summing up early;
`bench.summary` makes histograms and series of them.
"""

import base64
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from bench.outcome import Outcome


@dataclass(slots=True)
class Samples:
    """Operations of one kind that went well: when due, and seconds from then to the answer."""

    due: "array[float]" = field(default_factory=lambda: array("d"))
    took_s: "array[float]" = field(default_factory=lambda: array("d"))

    def __len__(self) -> int:
        return len(self.due)


@dataclass(slots=True)
class Recorder:
    """Everything that is known of the operations of a run."""

    samples: dict[str, Samples] = field(default_factory=dict)
    failed: dict[str, Samples] = field(default_factory=dict)
    """The same of those that did not go well. They are in no percentile: a refusal is quick."""
    errors: Counter[str] = field(default_factory=Counter)
    served: Counter[str] = field(default_factory=Counter)

    def add(self, due: float, ended: float, outcome: Outcome) -> None:
        """Note one operation."""
        if outcome.error:
            into = self.failed
            self.errors[outcome.error] += 1
        else:
            into = self.samples
        if outcome.served:
            self.served[outcome.served] += 1
        found = into.get(outcome.kind)
        if found is None:
            found = into[outcome.kind] = Samples()
        found.due.append(due)
        found.took_s.append(ended - due)

    def merge(self, others: Iterable["Recorder"]) -> Self:
        """Take over what others have noted; itself."""
        for other in others:
            for into, from_ in ((self.samples, other.samples), (self.failed, other.failed)):
                for kind, samples in from_.items():
                    mine = into.setdefault(kind, Samples())
                    mine.due.extend(samples.due)
                    mine.took_s.extend(samples.took_s)
            self.errors.update(other.errors)
            self.served.update(other.served)
        return self

    def as_json(self) -> dict[str, Any]:
        """The same for the way from one process to another."""
        return {
            "samples": {kind: _packed(samples) for kind, samples in self.samples.items()},
            "failed": {kind: _packed(samples) for kind, samples in self.failed.items()},
            "errors": dict(self.errors),
            "served": dict(self.served),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """What `as_json` gave."""
        return cls(
            samples={kind: _unpacked(packed) for kind, packed in found["samples"].items()},
            failed={kind: _unpacked(packed) for kind, packed in found["failed"].items()},
            errors=Counter(found["errors"]),
            served=Counter(found["served"]),
        )


def _packed(samples: Samples) -> list[str]:
    return [
        base64.b64encode(samples.due.tobytes()).decode(),
        base64.b64encode(samples.took_s.tobytes()).decode(),
    ]


def _unpacked(packed: list[str]) -> Samples:
    due, took_s = array("d"), array("d")
    due.frombytes(base64.b64decode(packed[0]))
    took_s.frombytes(base64.b64decode(packed[1]))
    return Samples(due, took_s)
