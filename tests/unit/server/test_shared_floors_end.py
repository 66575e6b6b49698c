"""The task of shared floors ends when its owner leaves, whatever the store's client makes of that."""

import asyncio
from contextlib import suppress

from router import SharedFloors
from server.shared import StoredFloors
from server.shared.store import Kept


class LosesCancels:
    """A store whose answer comes together with the cancel, which is lost by that."""

    def __init__(self):
        self.asked = asyncio.Event()

    async def exchange(self, wanted, raised):
        self.asked.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return Kept("memory", [0] * len(wanted))

    async def tidy(self):
        pass

    async def close(self):
        pass


async def test_a_cancel_that_the_store_loses_still_ends_the_task():
    store = LosesCancels()
    with SharedFloors(None) as near:
        async with asyncio.timeout(20):
            async with StoredFloors(
                near, store, "c", timeout_s=60.0, retention_s=600.0, report=lambda _: None
            ):
                await store.asked.wait()
