"""What the neighbours of trouble may notice of it: bounds on their p99, decided from figures alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.drills.timeline import normal_bound_s
from bench.result import Round

OPERATING_SHARE: Final = 0.4
"""Of the measured capacity: what the neighbours ask for while one of them makes trouble."""
FLOOD_TIMES: Final = 50.0
"""How many times its share a flooding tenant asks for."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One kind of trouble: what the others had before, and what they had meanwhile."""

    name: str
    about: str
    normal: Mapping[str, Round]
    """By group of neighbours."""
    meanwhile: Mapping[str, Round]
    makers: Mapping[str, Round]
    """Those who make the trouble, or whom it befalls."""

    @property
    def broken(self) -> list[str]:
        """What was promised to the neighbours and is not so."""
        found = []
        for group, before in self.normal.items():
            now, bound_ms = self.meanwhile[group], bound(before)
            if now.failed:
                found.append(f"{self.name}: {now.failed} requests of {group} failed: {now.errors}")
            if not p99_ms(now) <= bound_ms:  # also when nobody was answered
                found.append(
                    f"{self.name}: p99 of {group} was {p99_ms(now):.1f} ms, above {bound_ms:.1f}"
                )
        return found

    def figures(self) -> dict[str, dict[str, Any]]:
        """What each group had, by trouble and group."""
        rows = {
            f"{self.name}: {group}": {
                "p99_normal_ms": round(p99_ms(before), 2),
                "p99_meanwhile_ms": _known(p99_ms(self.meanwhile[group])),
                "bound_ms": round(bound(before), 2),
                "answered_per_s": round(self.meanwhile[group].rate, 1),
                "failed": self.meanwhile[group].failed,
            }
            for group, before in self.normal.items()
        }
        rows |= {
            f"{self.name}: {group}": {
                "p99_meanwhile_ms": _known(p99_ms(one)),
                "answered_per_s": round(one.rate, 1),
                "failed": one.failed,
            }
            for group, one in self.makers.items()
        }
        return rows

    def as_json(self) -> dict[str, Any]:
        """The same as a JSON object."""

        def figures(rounds: Mapping[str, Round]) -> dict[str, Any]:
            return {
                group: {
                    "rate": round(one.rate, 1),
                    "p50_ms": round(one.all.at_ms(50), 2) if one.answered else None,
                    "p99_ms": round(p99_ms(one), 2) if one.answered else None,
                    "failed": one.failed,
                    "errors": dict(one.errors),
                }
                for group, one in rounds.items()
            }

        return {
            "about": self.about,
            "normal": figures(self.normal),
            "meanwhile": figures(self.meanwhile),
            "makers": figures(self.makers),
            "bounds_ms": {group: round(bound(one), 2) for group, one in self.normal.items()},
            "broken_promises": self.broken,
        }

    def _spent(self) -> str:
        """What each part cost meanwhile; every load has a generator of its own."""
        rounds = (*self.meanwhile.values(), *self.makers.values())
        parts: dict[str, float] = {}
        for one in rounds:
            for part, seconds in one.spent["seconds"].items():
                share = seconds / one.seconds
                if part == "load generator":
                    parts["load generators"] = parts.get("load generators", 0.0) + share
                else:
                    parts[part] = max(parts.get(part, 0.0), share)
        busy = max(one.spent["box_busy"] for one in rounds)
        told = ", ".join(f"{part} {share:.0%}" for part, share in parts.items())
        return f"{told}; the whole box {busy:.0%} busy"

    def lines(self) -> Sequence[str]:
        """The same for readers."""
        rows = [f"{self.name}: {self.about}"]
        for group, before in self.normal.items():
            now = self.meanwhile[group]
            rows.append(
                f"  {group:32s} p99 {p99_ms(before):7.1f} ms before, {p99_ms(now):7.1f} meanwhile"
                f" (bound {bound(before):.1f}), {now.rate:,.0f} answered/s, {now.failed} failed"
            )
        for group, one in self.makers.items():
            told = ", ".join(f"{count:,} x {error}" for error, count in one.errors.items())
            rows.append(
                f"  {group:32s} {one.rate:,.0f} answered/s, {one.failed:,} not"
                f"{f' ({told})' if told else ''}"
            )
        rows.append(f"  CPU, of one core: {self._spent()}")
        rows += [f"  BROKEN  {what}" for what in self.broken]
        return rows


def _known(value_ms: float) -> float | None:
    """A number of JSON, which has none for what nobody was answered in."""
    return None if math.isnan(value_ms) else round(value_ms, 2)


def p99_ms(found: Round) -> float:
    """Of all operations that were answered."""
    return found.all.at_ms(99)


def bound(normal: Round) -> float:
    """Up to which p99, in milliseconds, neighbours notice nothing."""
    return normal_bound_s(p99_ms(normal) / 1000) * 1000
