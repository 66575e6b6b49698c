"""One process that serves: opens everything, answers, drains, closes everything."""

import asyncio
import gc
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from server.app import api, operators_port
from server.configuration.reading import SettingsSource
from server.front.connection import HttpServer
from server.front.turnstile import Turnstile
from server.lifecycle import Lifecycle
from server.moves import MoveKeeper, Moves, Places
from server.observe.board import Board
from server.observe.console import Console, bridge_logging
from server.observe.gauges import Gauges
from server.observe.lines import Level
from server.observe.meter import Meter
from server.observe.observatory import Observatory
from server.observe.tally import Tally
from server.reconfiguring import Reconfiguring
from server.services import Share, open_services
from server.settings import Settings
from server.workers.listening import BACKLOG, shown
from server.workers.place import Place
from server.workers.reloading import reloads
from server.workers.stopping import Stopping
from shardmap import ShardMap

LAST_WRITES_S: Final = 0.5
"""After the last response is made: how long clients may take to receive it."""

GIVE_WAY_S: Final = 0.0005
"""How long the event loop waits for a thread that computes (a new schema, a long statement); by
Python's default it would be 5 ms at each turn. Costs nothing while there is no such thread."""
YOUNG_OBJECTS: Final = 50_000
"""How many more containers than now may be alive before a collection: some 5 MB."""


async def work(
    settings: Settings, shard_map: ShardMap, source: SettingsSource, place: Place
) -> None:
    """Serve until told to stop."""
    several = place.count > 1
    console = Console(settings.logging, everywhere={"worker": place.number} if several else None)
    bridge_logging(console)
    lifecycle, tally, stopping = Lifecycle(), Tally(), Stopping(console)
    observe = Observatory(Meter(tally), console, settings.logging)
    shared = place.directory if several else None
    connections: list[HttpServer] = []
    async with AsyncExitStack() as opened:
        opened.callback(console.flush)
        opened.enter_context(stopping.heard(place.lifeline))
        services = await opened.enter_async_context(
            open_services(settings, shard_map, observe, Share(place.index, place.count, shared))
        )
        if settings.moves.resume and place.index == 0:
            await opened.enter_async_context(
                MoveKeeper(
                    lambda: Moves(Places(services.current_map(), settings.environ)),
                    observe,
                    retention_s=settings.moves.retention_s,
                )
            )
        turnstile = opened.enter_context(Turnstile(settings.http.shed_after_s, observe))
        gauges = Gauges(
            tally,
            lifecycle,
            lambda: sum(len(server.connections) for server in connections),
            services,
            turnstile,
        )
        board = await opened.enter_async_context(Board(tally, gauges, shared, place.number))

        listeners = []
        parts = (services, board, lifecycle, observe, turnstile)
        fronts = [(api(settings, *parts), place.api)]
        if place.metrics is not None:
            fronts.append((operators_port(settings, *parts), place.metrics))

        def adopt(newer: Settings) -> None:
            fronts[0][0].become(api(newer, *parts))
            services.expose(newer.api.exposed_schemas)

        await opened.enter_async_context(
            reloads(settings, services, Reconfiguring(source, settings, adopt, observe), observe)
        )
        loop = asyncio.get_running_loop()
        for front, listening in fronts:
            server = front.http_server()
            connections.append(server)
            listeners.append(await loop.create_server(server, sock=listening, backlog=BACKLOG))
        _settle_memory()
        console.tell(Level.INFO, "serving", url=shown(place.api))

        await stopping.wait()
        lifecycle.draining = True
        if stopping.patient:
            await asyncio.sleep(settings.http.drain_delay_s)
        await _drain(listeners, connections, lifecycle, settings.http.drain_timeout_s)
        console.tell(Level.INFO, "drained", left=lifecycle.in_flight)


def _settle_memory() -> None:
    """Keep the garbage collector from walking what lives as long as the process.

    By its defaults it looks at young objects several times per request, and now and then at all
    modules; together about 7 % of the CPU of small requests. Requests leave next to no cycles.
    """
    sys.setswitchinterval(GIVE_WAY_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


async def _drain(
    listeners: Sequence[asyncio.Server],
    connections: Sequence[HttpServer],
    lifecycle: Lifecycle,
    timeout_s: float,
) -> None:
    """Take no more clients, let the idle ones go, and wait for the requests in flight."""
    for listener in listeners:
        listener.close()
    for server in connections:
        server.pre_shutdown()
    try:
        async with asyncio.timeout(timeout_s):
            await lifecycle.settled()
    except TimeoutError:
        pass  # their handlers are cancelled below
    async with asyncio.TaskGroup() as ending:
        for server in connections:
            ending.create_task(server.shutdown(LAST_WRITES_S))
