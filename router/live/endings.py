"""Connections of a pool that are being cleaned or closed: by a task each, since that may take time."""

from collections.abc import Callable, Iterator
from typing import Final

from router.live.connection import HeldConnection
from router.live.failures import DRIVER_ERRORS
from router.live.preamble import rollback_and_clean
from router.tasks import TaskOwner

TIDY_TIMEOUT_S: Final = 1.0

Receiver = Callable[[HeldConnection], None]


class Endings:
    """Ends what ran on connections, or them; `vacated` is called when the server counts one less."""

    def __init__(self, name: str, owner: TaskOwner, vacated: Callable[[], None]) -> None:
        self._name = name
        self._owner = owner
        self._vacated = vacated
        self._leaving: set[HeldConnection] = set()

    def __iter__(self) -> Iterator[HeldConnection]:
        return iter(tuple(self._leaving))

    def clean(self, held: HeldConnection, cleaned: Receiver, failed: Receiver) -> bool:
        """End its transaction soon, and hand it to one of the two; False: nothing can be done."""
        work = self._cleaning(held, cleaned, failed)
        return self._owner.start(work, name=f"tidy {self._name}") is not None

    def close(self, held: HeldConnection) -> None:
        """End its session soon; what it still runs is cancelled."""
        self._leaving.add(held)
        if self._owner.start(self._closing(held), name=f"close {self._name}") is None:
            self._leaving.discard(held)
            held.drop()
            self._vacated()

    async def _cleaning(self, held: HeldConnection, cleaned: Receiver, failed: Receiver) -> None:
        receiver = failed
        try:
            await held.execute(rollback_and_clean(held.role), TIDY_TIMEOUT_S)
            receiver = cleaned
        except DRIVER_ERRORS:
            pass  # it is closed instead
        finally:
            receiver(held)

    async def _closing(self, held: HeldConnection) -> None:
        try:
            await held.close()
        finally:
            self._leaving.discard(held)
            held.drop()
            self._vacated()
