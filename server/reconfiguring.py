"""Settings that change while a server runs: read anew, and taken into use where that can be.

What is about clients (tokens, limits, documents, origins, schemas) changes with the next request.
What connections, workers and ports are made of waits for a restart, and is told by name.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from server.configuration.declaration import declarations
from server.configuration.reading import SECTIONS, SettingsSource
from server.database_config import database_config
from server.errors import SettingsInvalid
from server.reloads import ConfigReloaded, ConfigUnusable, ReloadFact
from server.settings import Settings

TAKEN: Final = ("api", "auth", "cors", "openapi")
"""Sections that are taken into use wholly."""
TAKEN_OF_POSTGREST: Final = ("server_timing", "trace_header")


class Reconfiguring:
    """Reads the settings of one worker anew, one reading after the other.

    `adopt` is called with settings that are fit to be used.
    """

    def __init__(
        self,
        source: SettingsSource,
        settings: Settings,
        adopt: Callable[[Settings], None],
        report: Callable[[ReloadFact], None],
    ) -> None:
        self._source = source
        self._settings = settings
        self._adopt = adopt
        self._report = report

    async def reload(self) -> None:
        """Take what has changed into use; a configuration that is wrong changes nothing."""
        over = await database_config(self._settings)
        if over is None:
            self._report(ConfigUnusable("the database with settings does not answer"))
            return
        try:
            fresh, _ = self._source.load(over)
        except SettingsInvalid as error:
            self._report(ConfigUnusable(str(error)))
            return
        waiting = tuple(_changed(self._settings, fresh))
        self._settings = taken(self._settings, fresh)
        self._adopt(self._settings)
        self._report(ConfigReloaded(waiting))


def taken(now: Settings, fresh: Settings) -> Settings:
    """The settings now in use, with what can be taken of the fresh ones."""
    of_postgrest = {name: getattr(fresh.postgrest, name) for name in TAKEN_OF_POSTGREST}
    return replace(
        now,
        postgrest=replace(now.postgrest, **of_postgrest),
        environ=fresh.environ,
        **{name: getattr(fresh, name) for name in TAKEN},
    )


def _changed(now: Settings, fresh: Settings) -> Iterator[str]:
    """The names of what has changed and waits for a restart."""
    for name in SECTIONS:
        if name in TAKEN:
            continue
        old, new = getattr(now, name), getattr(fresh, name)
        for member, declaration in declarations(old):
            if name == "postgrest" and member in TAKEN_OF_POSTGREST:
                continue
            if getattr(old, member) != getattr(new, member):
                yield declaration.name
