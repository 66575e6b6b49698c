"""The one observer of a server: hands each fact to the meter and, where wanted, to the log."""

import random
from typing import Final

from router import StatementServed
from server.observe.console import Console
from server.observe.facts import Fact, RequestAnswered
from server.observe.lines import Level, line_of
from server.observe.meter import Meter
from server.settings import LoggingSettings

_TOLD_ONCE: Final = frozenset({"OVERLOADED", "P211"})
"""Codes of requests that are turned away by the thousand: that it begins has a line."""


class Observatory:
    """Counts every fact, and logs those worth a line.

    A request is worth one when it failed (an error with 5xx; not a 503 of `/ready`), was slow, is in the sample
    (`FLUXSHARD_ACCESS_LOG_SAMPLE`), or when everything is logged (`FLUXBASE_DEBUG`).
    """

    def __init__(self, meter: Meter, console: Console, settings: LoggingSettings) -> None:
        self._meter = meter
        self._console = console
        self._slow_s = settings.slow_request_s
        self._sample = settings.access_sample
        self._everything = console.wants(Level.DEBUG)

    def __call__(self, fact: Fact) -> None:
        """Take note of a fact."""
        self._meter(fact)
        if self._everything or self._worth_a_line(fact):
            self._console.say(line_of(fact, self._slow_s))

    def _worth_a_line(self, fact: Fact) -> bool:
        if isinstance(fact, StatementServed):
            return False
        if isinstance(fact, RequestAnswered):
            return (
                (fact.status >= 500 and fact.code is not None and fact.code not in _TOLD_ONCE)
                or fact.seconds >= self._slow_s
                or (self._sample > 0 and random.random() < self._sample)  # noqa: S311 - a sample
            )
        return True
