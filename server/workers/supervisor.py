"""The parent of all workers: starts them, starts crashed ones anew, ends with them.

It has no event loop and no threads, so that it can fork at any time; it waits for signals in
`select`. Workers have a process group each, so that Ctrl-C reaches the supervisor alone, and they
hear of its death by a pipe that only it can write to.
"""

import os
import random
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from server.observe.board import mark_ended
from server.observe.console import Console
from server.observe.lines import Level, Line
from server.settings import HttpSettings
from server.workers.listening import Sockets
from server.workers.place import Place
from server.workers.stopping import INTERRUPTED

Job = Callable[[Place], None]
"""What a worker does, from its start to its end; runs in the worker's process."""

SETTLED_S: Final = 10.0
"""A worker that lived so long starts anew at once; one that did not waits longer each time."""
FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 10.0
CLOSING_S: Final = 5.0
"""What a worker may take to close its connections, after its drain."""

_RELOADS: Final = (signal.SIGUSR1, signal.SIGUSR2)
"""Passed on to the workers."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, *_RELOADS)


@dataclass(slots=True)
class _Slot:
    """One worker's place: who is there now, or when the next one comes."""

    index: int
    api: socket.socket
    process_id: int | None = None
    number: int = 0
    began: float = 0.0
    next_start: float = 0.0
    pause_s: float = 0.0


class Supervisor:
    """Keeps one worker running for each API socket, until it is told to end."""

    def __init__(
        self,
        job: Job,
        sockets: Sockets,
        directory: Path,
        settings: HttpSettings,
        console: Console,
    ) -> None:
        self._job = job
        self._slots = [_Slot(index, listening) for index, listening in enumerate(sockets.api)]
        self._metrics = sockets.metrics
        self._directory = directory
        self._settings = settings
        self._console = console
        self._numbers = 0
        self._heard: list[signal.Signals] = []
        self._closing_at: float | None = None
        self._killing_at: float | None = None
        self._status = 0

    def run(self) -> int:
        """Supervise until the last worker has ended after a signal; the exit status."""
        with ExitStack() as undo:
            self._wakeups, self._lifeline = _pipe(undo), _pipe(undo)
            for each in _SIGNALS:
                undo.callback(signal.signal, each, signal.signal(each, self._note))
            undo.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(self._wakeups[1]))
            while not self._ended:
                self._start_due()
                self._wait()
                self._reap()
                self._obey()
        return self._status

    @property
    def _ended(self) -> bool:
        return self._closing_at is not None and all(slot.process_id is None for slot in self._slots)

    def _note(self, number: int, _: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._heard.append(signal.Signals(number))

    def _wait(self) -> None:
        """Wait for a signal, or until something is due."""
        due = [slot.next_start for slot in self._slots if slot.process_id is None]
        due += [at for at in (self._closing_at, self._killing_at) if at is not None]
        now = time.monotonic()
        later = [at - now for at in due if at > now]
        select.select([self._wakeups[0]], [], [], min(later, default=None))
        with suppress(BlockingIOError):
            while os.read(self._wakeups[0], 4096):
                pass

    def _start_due(self) -> None:
        if self._closing_at is not None:
            return
        now = time.monotonic()
        for slot in self._slots:
            if slot.process_id is None and slot.next_start <= now:
                self._start(slot)

    def _start(self, slot: _Slot) -> None:
        slot.number, slot.began = self._numbers, time.monotonic()
        self._numbers += 1
        self._console.flush()
        sys.stdout.flush()
        # between fork and the reset of handlers a signal must not reach the child: our handler
        # would run there and write into our own pipe
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            slot.process_id = os.fork()
            if slot.process_id == 0:
                self._be_a_worker(slot)
        except OSError as error:  # no room for another process now
            slot.next_start = time.monotonic() + LONGEST_PAUSE_S
            self._console.say(Line(Level.ERROR, "worker_not_started", {}, error))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _be_a_worker(self, slot: _Slot) -> None:
        """The rest of the child's life. Never returns."""
        status = 1
        try:
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            for each in _SIGNALS:
                ignored = each in _RELOADS  # until the worker hears them, it has nothing to reload
                signal.signal(each, signal.SIG_IGN if ignored else signal.SIG_DFL)
            os.close(self._lifeline[1])
            for descriptor in self._wakeups:
                os.close(descriptor)
            for other in self._slots:
                if other is not slot:
                    other.api.close()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            random.seed()
            self._job(
                Place(
                    slot.index,
                    len(self._slots),
                    slot.number,
                    self._directory,
                    slot.api,
                    self._metrics,
                    self._lifeline[0],
                )
            )
            status = 0
        except BaseException as error:  # noqa: BLE001 - the outermost of this process
            self._console.say(Line(Level.ERROR, "worker_crashed", {"worker": slot.number}, error))
            self._console.flush()
        finally:
            os._exit(status)

    def _reap(self) -> None:
        for slot in self._slots:
            if slot.process_id is None:
                continue
            found, status = os.waitpid(slot.process_id, os.WNOHANG)
            if found:
                self._ended_as(slot, os.waitstatus_to_exitcode(status))

    def _ended_as(self, slot: _Slot, code: int) -> None:
        now = time.monotonic()
        slot.process_id = None
        with suppress(OSError):  # no room on the disk: then its numbers are lost, and no worker
            mark_ended(self._directory, slot.number)
        if self._closing_at is not None:
            return
        lived_s = now - slot.began
        if lived_s >= SETTLED_S:
            slot.pause_s = 0.0
        slot.next_start = now + slot.pause_s
        reason = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        self._console.tell(
            Level.ERROR,
            "worker_ended",
            worker=slot.number,
            reason=reason,
            after_s=round(lived_s, 1),
            next_in_s=slot.pause_s,
        )
        slot.pause_s = min(max(FIRST_PAUSE_S, 2 * slot.pause_s), LONGEST_PAUSE_S)

    def _obey(self) -> None:
        heard, self._heard = self._heard, []
        for each in heard:
            if each in _RELOADS:
                self._send(each)
            elif self._closing_at is None:
                self._drain(each)
            else:
                self._console.tell(Level.WARN, "ended_at_once", reason=each.name)
                self._killing_at = time.monotonic()
                self._status = INTERRUPTED
        now = time.monotonic()
        if self._closing_at is not None and now >= self._closing_at:
            self._stop_listening()
        if self._killing_at is not None and now >= self._killing_at:
            self._status = self._status or 1
            self._send(signal.SIGKILL)

    def _drain(self, each: signal.Signals) -> None:
        self._console.tell(Level.INFO, "draining", reason=each.name, workers=len(self._slots))
        delay_s = self._settings.drain_delay_s if each is signal.SIGTERM else 0.0
        self._closing_at = time.monotonic() + delay_s
        self._killing_at = self._closing_at + self._settings.drain_timeout_s + CLOSING_S
        self._send(each)

    def _stop_listening(self) -> None:
        """The workers close theirs at the same moment; ours would go on taking clients."""
        for slot in self._slots:
            slot.api.close()
        if self._metrics is not None:
            self._metrics.close()

    def _send(self, each: signal.Signals) -> None:
        for slot in self._slots:
            if slot.process_id is not None:
                os.kill(slot.process_id, each)


def _pipe(undo: ExitStack) -> tuple[int, int]:
    """A pipe whose ends do not block, closed at the end."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    undo.callback(os.close, reading)
    undo.callback(os.close, writing)
    return reading, writing
