"""What asks a worker to read the schema or the configuration anew: two signals, and NOTIFY."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from router import TaskOwner
from server.observe.facts import FactObserver
from server.reconfiguring import Reconfiguring
from server.reloads import CONFIG, SCHEMA, ReloadAsked, ReloadChannels
from server.services import Services
from server.settings import Settings


@asynccontextmanager
async def reloads(
    settings: Settings, services: Services, reconfiguring: Reconfiguring, observe: FactObserver
) -> AsyncIterator[None]:
    """Hear SIGUSR1 (schema) and SIGUSR2 (configuration), and the channel in every database."""
    loop, wanted = asyncio.get_running_loop(), asyncio.Event()

    async def keep() -> None:
        """Several wishes that come while the configuration is read are one more reading."""
        while True:
            await wanted.wait()
            wanted.clear()
            await reconfiguring.reload()

    def told(what: str) -> None:
        observe(ReloadAsked(what, "signal"))
        if what == SCHEMA:
            services.schema_changed()
        else:
            wanted.set()

    async with AsyncExitStack() as opened:
        owner = await opened.enter_async_context(TaskOwner())
        owner.start(keep(), name="reload configuration")
        for number, what in ((signal.SIGUSR1, SCHEMA), (signal.SIGUSR2, CONFIG)):
            loop.add_signal_handler(number, told, what)
            opened.callback(loop.remove_signal_handler, number)
        if settings.postgrest.channel_enabled:
            await opened.enter_async_context(
                ReloadChannels(
                    services.current_map,
                    settings.environ,
                    settings.postgrest.channel,
                    schema=services.schema_changed,
                    config=wanted.set,
                    report=observe,
                )
            )
        yield
