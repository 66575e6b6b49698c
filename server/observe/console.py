"""Log lines to standard error, in the form and from the level that were asked for."""

import asyncio
import json
import logging
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from server.observe.lines import Level, Line
from server.settings import LoggingSettings

FLUSH_S: Final = 0.05
"""How long lines are gathered before they are written together."""

MAX_WAITING_LINES: Final = 1000
"""Lines gathered before they are written at once, however young."""

ATOMIC_BYTES: Final = 4096
"""What one write to a pipe puts there without another's in between (PIPE_BUF of Linux)."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:+@=~-]+", re.ASCII)

Writer = Callable[[bytes], None]


class Console:
    """Writes lines. Within an event loop they are gathered for 50 ms and written together.

    `everywhere` are fields of every line.

    The call waits for whoever reads standard error. When nobody does any more, or it cannot take
    more without waiting, lines are lost: a log is not worth the requests.
    """

    def __init__(
        self,
        settings: LoggingSettings,
        write: Writer | None = None,
        everywhere: Mapping[str, object] | None = None,
    ) -> None:
        level = "debug" if settings.debug else settings.console_level
        self._level = Level[level.upper()]
        self._enabled = settings.console_enabled
        self._form = _json if settings.console_format == "json" else _text
        self._write = write or _standard_error
        self._everywhere = everywhere or {}
        self._waiting: list[str] = []
        self._flush_handle: asyncio.TimerHandle | None = None

    def wants(self, level: Level) -> bool:
        """Whether a line of that level would be written."""
        return self._enabled and level >= self._level

    def say(self, line: Line) -> None:
        """Write a line, soon."""
        if not self.wants(line.level):
            return
        if self._everywhere:
            line = replace(line, fields={**line.fields, **self._everywhere})
        self._waiting.append(self._form(line, time.time()))
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if len(self._waiting) >= MAX_WAITING_LINES:
            self.flush()
        elif self._flush_handle is None:
            self._flush_handle = loop.call_later(FLUSH_S, self.flush)

    def tell(self, level: Level, event: str, **fields: object) -> None:
        """Write a line of these fields, soon."""
        self.say(Line(level, event, fields))

    def flush(self) -> None:
        """Write what waits."""
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush_handle = None
        waiting, self._waiting = self._waiting, []
        for part in _parts(waiting):
            self._write(part)


class LoggingBridge(logging.Handler):
    """Makes lines of what libraries log by the standard library's `logging`."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record as a line whose event is the name of its logger."""
        level = max((known for known in Level if known <= record.levelno), default=Level.DEBUG)
        error = record.exc_info[1] if record.exc_info else None
        event = record.name.replace(".", "_")
        self._console.say(Line(level, event, {"message": record.getMessage()}, error))


def bridge_logging(console: Console) -> None:
    """Send everything that goes through `logging` to the console, from warnings up."""
    logging.captureWarnings(capture=True)
    logging.basicConfig(level=logging.WARNING, handlers=[LoggingBridge(console)], force=True)


def _parts(lines: Iterable[str]) -> Iterator[bytes]:
    """The lines, joined to parts that a pipe takes whole, so workers do not cut each other's."""
    part = b""
    for line in lines:
        data = line.encode("utf-8", "backslashreplace")
        if part and len(part) + len(data) > ATOMIC_BYTES:
            yield part
            part = b""
        part += data
    if part:
        yield part


def _standard_error(data: bytes) -> None:
    descriptor = sys.stderr.fileno()
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError:  # nobody reads it, or it is full and must not be waited for
        return


def _stamp(now: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    return f"{whole}.{int(now % 1 * 1000):03}Z"


def _text(line: Line, now: float) -> str:
    fields = "".join(f" {name}={_shown(value)}" for name, value in line.fields.items())
    text = f"{_stamp(now)} {line.level.name:<5} {line.event}{fields}\n"
    if line.error is not None:
        text += "".join(f"  {part}\n" for part in _trace(line.error).splitlines())
    return text


def _json(line: Line, now: float) -> str:
    record: dict[str, Any] = {
        "time": _stamp(now),
        "level": line.level.name.lower(),
        "event": line.event,
        **line.fields,
    }
    if line.error is not None:
        record["error"] = _trace(line.error)
    return orjson.dumps(record, default=str).decode() + "\n"


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).rstrip()


def _shown(value: object) -> str:
    """A value that cannot be taken for something else: quoted unless it is a plain word."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
