"""Which replicas of a shard may answer reads now, and which are tried out one read at a time."""

from collections.abc import Collection, Sequence

from router.backend_settings import BackendSettings
from router.live.breaker import Trust
from router.live.ejection import judge
from router.live.freshness import Position
from router.live.history import ShardHistory
from router.live.live_endpoint import LiveEndpoint
from router.live.replicas import Limits, candidates, has_reached, proven
from router.observe import Observer, TrustChanged
from shardmap import ShardId


class Eligible:
    """The members of a shard by what probes say of them, and by what reads met on them."""

    def __init__(
        self,
        shard: ShardId,
        members: Sequence[LiveEndpoint],
        history: ShardHistory,
        settings: BackendSettings,
        observe: Observer,
    ) -> None:
        self.limits = Limits(settings.proof_age_s, settings.max_lag_bytes, settings.max_lag_s)
        self.on_trial: list[int] = []
        self._shard = shard
        self._members = members
        self._history = history
        self._standings = [member.standing for member in members]
        self._rules = settings.ejecting
        self._observe = observe

    def candidates(
        self, now: float, timeline: int, excluded: Collection[int], *, primary: bool
    ) -> list[int]:
        """Who may answer, but for freshness; those that are ejected rather than nobody at all.

        `primary` says whether the primary could answer instead, `timeline` which is the newest.
        """
        trusted = self._trusted(now, timeline, excluded, Trust.TRUSTED)
        if trusted or primary:
            return trusted
        ejected = self._trusted(now, timeline, excluded, Trust.EJECTED)
        return ejected + self._trusted(now, timeline, excluded, Trust.ON_TRIAL)

    def unfit(self, index: int, now: float, timeline: int) -> str:
        """Why the replica answers no reads; empty: it may."""
        standing, limits = self._standings[index], self.limits
        lag_bytes, lag_s = standing.lag_bytes, standing.lag_s
        if not standing.alive:
            return "it is down"
        if not proven(standing, now, limits):
            return "its last good probe is too old"
        if standing.weight == 0:
            return "its weight is 0"
        if standing.timeline < timeline:
            return f"it follows timeline {standing.timeline}, the shard is on {timeline}"
        if lag_bytes is not None and lag_bytes > limits.max_lag_bytes:
            return f"it is {lag_bytes} bytes behind, {limits.max_lag_bytes} are allowed"
        if lag_s is not None and lag_s > limits.max_lag_s:
            return f"it is {lag_s:.3g} s behind, {limits.max_lag_s:.3g} s are allowed"
        trust = standing.breaker.trust
        return "" if trust is Trust.TRUSTED else f"it is {trust.value}: {standing.breaker.detail}"

    def judge(self, now: float, timeline: int, *, primary: bool) -> None:
        """Eject who fails, try out whose time is over, trust who has passed."""
        serving = self._trusted(now, timeline, (), Trust.TRUSTED)
        for verdict in judge(self._standings, serving, now, self._rules, primary=primary):
            name = self._members[verdict.index].name
            self._observe(
                TrustChanged(self._shard, name, verdict.trust, verdict.reason, verdict.detail)
            )
        self.on_trial = self._trusted(now, timeline, (), Trust.ON_TRIAL)

    def tried_out(self, now: float, floor: Position | None) -> LiveEndpoint | None:
        """A replica on trial that has nothing to do, and is fresh enough."""
        for index in self.on_trial:
            standing = self._standings[index]
            idle = not standing.in_flight and proven(standing, now, self.limits)
            if idle and has_reached(standing, floor):
                return self._members[index]
        return None

    def _trusted(
        self, now: float, timeline: int, excluded: Collection[int], trust: Trust
    ) -> list[int]:
        found = candidates(self._standings, now, self.limits, timeline, excluded, trust=trust)
        return [index for index in found if self._history.admits(self._standings[index].lsn)]
