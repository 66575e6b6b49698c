"""Which replicas of a shard are ejected by what reads met on them, tried out, and trusted again.

Pure. Three things keep this from doing harm: what all replicas do alike is no fault of one; only a
share of them is ever ejected for other failures than lost connections; and the last one is not
ejected while there is no primary to read from.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from router.live.breaker import Ejecting, Trust
from router.live.replicas import Standing

ALIKE: Final = 0.5
"""Peers that fail at least half as much are in the same trouble."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One replica is trusted in another way than before."""

    index: int
    trust: Trust
    reason: str
    """`connections`, `failures`, `rate`, `trial`, or empty."""
    detail: str


def judge(
    standings: Sequence[Standing],
    serving: Collection[int],
    now: float,
    rules: Ejecting,
    *,
    primary: bool,
) -> list[Verdict]:
    """Look at each replica's breaker and set it anew; the changes.

    `serving` are the replicas that may answer now, `primary` says whether the primary may.
    """
    found = []
    for index, standing in enumerate(standings):
        if not standing.in_recovery:
            continue
        breaker = standing.breaker
        match breaker.trust:
            case Trust.TRUSTED:
                breaker.mark(now, rules.window_s)
                reason = _guilty(standings, index, serving, rules)
                others = primary or any(other != index for other in serving)
                if reason and others and _allowed(standings, reason, rules):
                    breaker.eject(now, rules)
                    detail = f"for {breaker.until - now:.3g} s: {breaker.detail}"
                    found.append(Verdict(index, Trust.EJECTED, reason, detail))
                    serving = [other for other in serving if other != index]
            case Trust.EJECTED:
                # a probe comes first: one that began after the time was over
                if standing.alive and standing.proved_at >= breaker.until:
                    breaker.try_out()
                    found.append(Verdict(index, Trust.ON_TRIAL, "", ""))
            case Trust.ON_TRIAL:
                if breaker.in_row:
                    breaker.eject(now, rules)
                    detail = f"for {breaker.until - now:.3g} s: {breaker.detail}"
                    found.append(Verdict(index, Trust.EJECTED, "trial", detail))
                elif breaker.trial_passed:
                    breaker.trust_again(now)
                    standing.returned_at = now
                    found.append(Verdict(index, Trust.TRUSTED, "", ""))
    return found


def _guilty(
    standings: Sequence[Standing], index: int, serving: Collection[int], rules: Ejecting
) -> str:
    """Why it should be ejected, or nothing."""
    breaker = standings[index].breaker
    if not breaker.in_row and not breaker.failures:
        return ""
    if breaker.hard_in_row >= rules.failures_in_row:
        return "connections"
    answers, failures = breaker.lately()
    reads = answers + failures
    if not reads:
        return ""
    share = failures / reads
    peers = [standings[other].breaker for other in serving if other != index]
    if breaker.in_row >= rules.failures_in_row:
        alike = bool(peers) and all(peer.in_row >= ALIKE * breaker.in_row for peer in peers)
        return "" if alike else "failures"
    if reads >= rules.least_reads and share >= rules.failed_share:
        lately = [peer.lately() for peer in peers]
        among_peers = sum(failed for _, failed in lately)
        of_peers = among_peers + sum(answered for answered, _ in lately)
        alike = of_peers > 0 and among_peers / of_peers >= ALIKE * share
        return "" if alike else "rate"
    return ""


def _allowed(standings: Sequence[Standing], reason: str, rules: Ejecting) -> bool:
    if reason == "connections":
        return True
    replicas = [one for one in standings if one.in_recovery and one.weight > 0]
    ejected = sum(one.breaker.trust is not Trust.TRUSTED for one in replicas)
    return ejected + 1 <= rules.most_share * len(replicas)
