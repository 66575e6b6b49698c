"""The wish that a process ends, from signals and from the loss of its supervisor."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from server.observe.console import Console
from server.observe.lines import Level

INTERRUPTED: Final = 130
"""Exit status of a process that was told twice to end, as shells have it."""


class Stopping:
    """The first wish drains. The second one ends the process at once."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._wished = asyncio.Event()
        self.patient = False
        """Whether balancers shall have time to notice: only after SIGTERM."""

    def wish(self, reason: str, *, patient: bool) -> None:
        """Wish for the end."""
        if self._wished.is_set():
            self._console.tell(Level.WARN, "ended_at_once", reason=reason)
            self._console.flush()
            os._exit(INTERRUPTED)
        self._console.tell(Level.INFO, "draining", reason=reason)
        self.patient = patient
        self._wished.set()

    async def wait(self) -> None:
        """Wait for the first wish."""
        await self._wished.wait()

    @contextmanager
    def heard(self, lifeline: int | None) -> Iterator[None]:
        """Hear signals, and the end of a pipe that only the supervisor can write to."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: self.wish("SIGTERM", patient=True))
        loop.add_signal_handler(signal.SIGINT, lambda: self.wish("SIGINT", patient=False))
        if lifeline is not None:

            def orphaned() -> None:
                loop.remove_reader(lifeline)
                self.wish("the supervisor is gone", patient=False)

            loop.add_reader(lifeline, orphaned)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGTERM)
            loop.remove_signal_handler(signal.SIGINT)
            if lifeline is not None:
                loop.remove_reader(lifeline)
