"""A whole server, from its settings to its end: in one process, or in several under a supervisor."""

import asyncio
import signal
from functools import partial

import uvloop

from server.configuration.reading import Notices, SettingsSource
from server.observe.console import Console, bridge_logging
from server.observe.lines import Level
from server.preparation import prepare
from server.settings import Settings
from server.startup import runtime, shortcomings
from server.workers.listening import open_sockets
from server.workers.place import Place
from server.workers.run_directory import run_directory
from server.workers.supervisor import Supervisor
from server.workers.worker import work
from shardmap import ShardMap


def serve(settings: Settings, notices: Notices, source: SettingsSource) -> int:
    """Serve until told to end; the exit status.

    Raises:
        CannotListen: An address is taken.
        SetupRefused, ShardUnavailable, ShardMapError: There is nothing to serve, see `prepare`.
    """
    console = Console(settings.logging)
    bridge_logging(console)
    for each in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(each, signal.SIG_IGN)  # until there is something to reload
    _greet(console, settings, notices)
    sockets = open_sockets(settings)
    try:
        shard_map = asyncio.run(prepare(settings, console)).shard_map
    finally:
        console.flush()
    with run_directory() as directory:
        job = partial(_work, settings, shard_map, source)
        if settings.process.workers > 1:
            return Supervisor(job, sockets, directory, settings.http, console).run()
        job(Place(0, 1, 0, directory, sockets.api[0], sockets.metrics))
        return 0


def _work(settings: Settings, shard_map: ShardMap, source: SettingsSource, place: Place) -> None:
    uvloop.run(work(settings, shard_map, source, place))


def _greet(console: Console, settings: Settings, notices: Notices) -> None:
    console.tell(Level.INFO, "starting", workers=settings.process.workers, **runtime())
    for shortcoming in shortcomings():
        console.tell(Level.WARN, "could_be_faster", message=shortcoming)
    if settings.process.instances > 1 and settings.shared.chosen == "local":
        why = "sessions that hop between instances may read older data: see docs/freshness.md"
        console.tell(Level.WARN, "floors_not_shared", message=why)
    for unknown in notices.unknown:
        meant = {} if unknown.meant is None else {"meant": unknown.meant}
        console.tell(
            Level.WARN, "setting_unknown", name=unknown.name, source=unknown.source, **meant
        )
    for reason in notices.ignored:
        console.tell(Level.WARN, "setting_ignored", reason=reason)
    if notices.without_effect:
        names = ",".join(notices.without_effect)
        console.tell(Level.INFO, "settings_without_effect_yet", names=names)
