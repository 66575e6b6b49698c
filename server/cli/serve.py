"""`fluxshard serve`: the API server.

Ends with 0 after a drain, 1 when it cannot start, 2 for wrong settings, 130 when told twice.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

import click

from router import DatabaseNotPrepared, RouterError
from server.configuration.reading import NOTHING, Notices, SettingsSource, load_settings
from server.database_config import database_config
from server.errors import ConfigurationError, SettingsInvalid
from server.settings import Settings
from server.workers.serving import serve
from shardmap import ShardMapError

CANNOT_START: Final = 1
WRONG_SETTINGS: Final = 2

config_option = click.option(
    "--config",
    envvar="FLUXSHARD_CONFIG",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file of settings (NAME=value), for names that the environment lacks.",
)


@click.command()
@config_option
@click.option(
    "--workers", type=click.IntRange(1, 256), help="Processes on the port [FLUXSHARD_WORKERS]."
)
def command(config: Path | None, workers: int | None) -> None:
    """Serve the API until SIGTERM or Ctrl-C; a second one ends at once."""
    overrides = {} if workers is None else {"FLUXSHARD_WORKERS": str(workers)}
    source = SettingsSource({**os.environ, **overrides}, config)
    settings, notices = source_or_exit(source)
    try:
        over = asyncio.run(database_config(settings))
        if over:
            settings, notices = source_or_exit(source, over)
        status = serve(settings, notices, source)
    except DatabaseNotPrepared as error:
        click.echo(error.by_hand)  # alone on standard output: `fluxshard serve > prepare.sql`
        _refuse(error.code, error.message, error.hint)
    except RouterError as error:
        _refuse(error.code, error.message, error.hint)
    except (ShardMapError, ConfigurationError) as error:
        _refuse(error.code, str(error), None)
    else:
        sys.exit(status)


def source_or_exit(
    source: SettingsSource, over: Mapping[str, str] = NOTHING
) -> tuple[Settings, Notices]:
    """The settings of a source, or the end of the program with every problem."""
    try:
        return source.load(over)
    except SettingsInvalid as error:
        exit_with_problems(error)


def settings_or_exit(config: Path | None, **overrides: str) -> tuple[Settings, Notices]:
    """The settings of file and environment, or the end of the program with every problem."""
    try:
        return load_settings({**os.environ, **overrides}, config)
    except SettingsInvalid as error:
        exit_with_problems(error)


def exit_with_problems(error: SettingsInvalid) -> NoReturn:
    """End the program with every problem on a line of its own."""
    for problem in error.problems:
        click.echo(f"setting {problem}", err=True)
    sys.exit(WRONG_SETTINGS)


def _refuse(code: str, message: str, hint: str | None) -> None:
    click.echo(f"fluxshard cannot start: {code}: {message}", err=True)
    if hint:
        click.echo(hint, err=True)
    sys.exit(CANNOT_START)
