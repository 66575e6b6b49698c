"""What the demonstration prints: steps with their time, and one bar for the rows."""

import sys
import time
from typing import TextIO


class Screen:
    """Lines for people; on a terminal the bar is redrawn, elsewhere it is one line per quarter."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._began = time.monotonic()
        self._live = out.isatty()
        self._quarter = 0

    def say(self, text: str = "") -> None:
        """One line."""
        print(text, file=self._out, flush=True)

    def step(self, text: str) -> None:
        """One line with the seconds since the beginning."""
        self.say(f"[{time.monotonic() - self._began:5.1f} s] {text}")

    def bar(self, label: str, done: int, total: int) -> None:
        """How many of `total` rows are done."""
        share = done / total if total else 1.0
        if self._live:
            filled = int(share * 30)
            line = f"\r          {label} [{'#' * filled}{'.' * (30 - filled)}] {done:,}/{total:,}"
            self._out.write(line + ("\n" if done == total else ""))
            self._out.flush()
        elif int(share * 4) > self._quarter:
            self._quarter = int(share * 4)
            self.step(f"{label}: {done:,} of {total:,}")
