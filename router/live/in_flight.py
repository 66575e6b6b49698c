"""How many statements may run at an endpoint at a time: told from how much slower they are together.

A server that has more to do than it can do makes everybody wait inside, where nobody takes turns.
How much of a statement's time is waiting is told by comparison with what the same text takes when
the endpoint has little to do (TCP Vegas: Brakmo and Peterson, 1995; for servers, Netflix's
concurrency-limits, 2018). Where statements take `k` times as long as alone, the k-th part of them
would have kept the server as busy, and the limit goes there at once; while nothing is slower, it
grows again by half.

Statements differ by orders of magnitude, so each is compared with its own text only, and what is
judged is the geometric mean of many of these ratios: a few that wait for locks do not move it, and
one slow report among point reads is one of many. That all became slower for another reason (the
network, colder caches) shows when few are in flight and it is so still: the limit has then come
down to its least, where times are learned anew, and grows again. Where nothing is known, since there
was much to do from the beginning, the limit goes there once, too, to find out.

Pure, and deterministic: times come as arguments.
"""

import math
from collections import deque
from collections.abc import Hashable
from typing import Final

SLOWER: Final = 1.6
"""Statements that take so many times as long as alone wait inside, …"""
AS_FAST: Final = 1.1
"""… and up to this, nobody does: the limit grows by half, …"""
NEARLY: Final = 1.2
"""… and up to this by one. In between it stays."""
NOTICED_S: Final = 0.005
"""Waits below this are nobody's trouble, whatever the ratio is: our own event loop makes such."""
MOST_TIMES: Final = 8.0
"""One statement counts as at most so many times as slow: it may have waited for a lock."""
SPARE: Final = 1.25
"""So much more than keeps the server busy is let in, or it would be idle at times."""
WORK_S: Final = 0.5
"""Over so long it is measured how much the server does, …"""
WORK_KEPT: Final = 3
"""… and what it did in so many of these it is let do: it may be others who make it slow now, …"""
BEYOND_NOISE: Final = 4.0
"""… unless statements take so many times as long."""
ENOUGH: Final = 10
"""Statements that a judgement needs, at least, …"""
WINDOW_S: Final = 0.05
"""… and the time that it takes, at least: what happens in one moment happens to all in flight."""
UNKNOWN_S: Final = 0.25
"""When nothing that was seen in so long is known from quieter times, nothing is known."""
STALE_S: Final = 5.0
"""What is judged together is not older than this."""
STRIKES: Final = 2
"""So many judgements in a row before limiting begins: one may be a pause of this process."""
LEARNING: Final = 0.125
"""How much one statement counts in what its text usually takes, …"""
LEARNING_ANEW: Final = 0.25
"""… while it has to be found out, …"""
OUTLIER: Final = 2.0
"""… and as at most so many times that."""
REMEMBERED: Final = 1024
"""Texts whose usual times are kept."""
FIND_OUT_S: Final = 30.0
"""After so long it may be tried again to find out what texts take alone, then after twice that, …"""
FIND_OUT_MOST_S: Final = 3600.0
"""… up to this: there may be no end of texts that are new."""
NEVER_S: Final = 1e-6
"""No statement takes less."""


class InFlightLimit:
    """The limit of one endpoint in one process, from `least` to `ceiling`."""

    __slots__ = (
        "_among",
        "_began_at",
        "_changed_at",
        "_count",
        "_find_out_at",
        "_find_out_s",
        "_log_ratios",
        "_new",
        "_new_took_s",
        "_strikes",
        "_usual_s",
        "_waited_s",
        "_work",
        "_work_began_at",
        "_work_s",
        "ceiling",
        "inflation",
        "least",
        "most",
    )

    def __init__(self, ceiling: int, least: int) -> None:
        self.ceiling = ceiling
        self.least = min(least, ceiling)
        self.most = ceiling
        """How many may be in flight now."""
        self.inflation: float | None = None
        """How many times as long as alone statements took, as last judged; None: nobody knows."""
        self._usual_s: dict[Hashable, float] = {}
        """By text, what a statement takes when at most `least` are in flight."""
        self._find_out_s = FIND_OUT_S
        self._find_out_at = float("-inf")
        self._work: deque[float] = deque(maxlen=WORK_KEPT)
        """How many statements at a time would have done as much alone, lately."""
        self._work_s = 0.0
        self._work_began_at = float("-inf")
        self._strikes = 0
        self._changed_at = float("-inf")
        self._start(float("-inf"))

    def answered(self, text: Hashable, seconds: float, among: int, ended: float) -> bool:
        """Count a statement that ran so long, the `among`-th in flight when it began.

        Statements of one `text` take as long as each other, as a rule.

        Returns:
            Whether `most` is another than before.
        """
        usual_s = self._usual_s.get(text)
        if among <= self.least:
            if usual_s is None:
                usual_s = self._first(seconds)
            most_s = OUTLIER * usual_s
            share = LEARNING if self.most > self.least else LEARNING_ANEW
            self._usual_s[text] = usual_s + (min(seconds, most_s) - usual_s) * share
            if among < self.most:
                return False
        if ended - seconds < self._changed_at:
            return False  # it had company that is not let in any more
        passed_s = ended - self._began_at
        if passed_s > STALE_S:
            self._start(ended)
            passed_s = 0.0
        if usual_s is None:
            self._new += 1
            self._new_took_s += seconds
            return self._new >= ENOUGH and passed_s >= UNKNOWN_S and self._nothing_known(ended)
        counted_s = max(NEVER_S, min(seconds, MOST_TIMES * usual_s))
        self._count += 1
        self._log_ratios += math.log(counted_s / usual_s)
        self._waited_s += counted_s - usual_s
        self._work_s += usual_s
        self._among += among
        return self._count >= ENOUGH and passed_s >= WINDOW_S and self._judged(ended)

    def lift(self) -> None:
        """Let in as many as there may be: what was known of the endpoint is too old."""
        self.most = self.ceiling
        self._strikes = 0

    def _judged(self, now: float) -> bool:
        inflation = math.exp(self._log_ratios / self._count)
        among = self._among / self._count
        if self._waited_s < NOTICED_S * self._count:
            inflation = min(inflation, NEARLY)
        self.inflation = inflation
        self._note_work(now)
        if inflation > SLOWER:
            self._strikes += 1
            if self._strikes >= STRIKES or self.most < self.ceiling:
                return self._changed(self._reduced(among, inflation), now)
        else:
            self._strikes = 0
            learning = self.most == self.least and inflation > AS_FAST
            if inflation <= NEARLY and 2 * among >= self.most and not learning:
                grown = self.most // 2 if inflation <= AS_FAST else 1
                return self._changed(self.most + max(1, grown), now)
        return self._changed(self.most, now)

    def _nothing_known(self, now: float) -> bool:
        """All that runs is new. What it takes alone is found out if that may matter; else it may run."""
        if now >= self._find_out_at and self._new_took_s > 2 * NOTICED_S * self._new:
            self._find_out_at = now + self._find_out_s
            self._find_out_s = min(2 * self._find_out_s, FIND_OUT_MOST_S)
            self.inflation = None
            return self._changed(self.least, now)
        return self._changed(self.most + max(1, self.most // 2), now)

    def _reduced(self, among: float, inflation: float) -> int:
        """At most by half at once: the next judgement sees what it was good for."""
        wanted = max(SPARE * among / inflation, among / 2)
        if inflation < BEYOND_NOISE:
            wanted = max(wanted, SPARE * max(self._work, default=0.0))
        return min(self.most - 1, math.ceil(wanted))

    def _note_work(self, now: float) -> None:
        passed_s = now - self._work_began_at
        if passed_s >= WORK_S:
            self._work.append(self._work_s / passed_s)
            self._work_began_at, self._work_s = now, 0.0

    def _changed(self, most: int, now: float) -> bool:
        self._start(now)
        before, self.most = self.most, max(self.least, min(self.ceiling, most))
        if self.most == before:
            return False
        self._changed_at = now
        return True

    def _start(self, now: float) -> None:
        self._began_at = now
        self._count = self._among = self._new = 0
        self._log_ratios = self._waited_s = self._new_took_s = 0.0

    def _first(self, seconds: float) -> float:
        if len(self._usual_s) >= REMEMBERED:
            del self._usual_s[next(iter(self._usual_s))]  # to make room for the new one
        return max(seconds, NEVER_S)
