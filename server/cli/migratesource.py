"""What `fluxshard migrate` is given: cluster, directory and options; and how its errors end it."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import click

from router import DatabaseNotPrepared, RouterError
from server.author import author
from server.cli.mapaccess import Catalog, catalog_options
from server.configuration.forms import DURATION
from server.configuration.reading import load_cluster_settings
from server.errors import SettingsInvalid
from server.mapstart import given_cluster, starting_map
from server.migrate.apply import Patience, Unknown
from server.migrate.directory import read_directory
from server.migrate.errors import DatabaseAway, MigrateError
from server.migrate.operations import Options, Site
from server.settings import Settings
from shardmap import (
    CredentialsUnavailable,
    Endpoint,
    InvalidUrl,
    Login,
    MapUnavailable,
    ShardMapError,
    first_from,
    resolve,
)

T = TypeVar("T")

REFUSED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3


class _Ended(click.ClickException):
    """What ends a command: lines for people, and an exit code for scripts."""

    def __init__(self, lines: list[str], exit_code: int) -> None:
        super().__init__("\n".join(lines))
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the lines as they are."""
        click.echo(self.message, err=True, file=file)


class _Duration(click.ParamType[float]):
    """`500ms`, `2s`, `10m`, as settings have it."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The seconds."""
        try:
            return DURATION.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def run(work: Coroutine[object, object, T]) -> T:
    """The result; an error ends the command with its code, its lines and an exit code."""
    try:
        return asyncio.run(work)
    except SettingsInvalid as error:
        raise _Ended([str(problem) for problem in error.problems], USAGE) from error
    except InvalidUrl as error:
        raise _Ended([f"--catalog: {error}"], USAGE) from error
    except MigrateError as error:
        exit_code = UNREACHABLE if isinstance(error, DatabaseAway) else REFUSED
        raise _Ended([f"{error.code} {line}" for line in error.lines], exit_code) from error
    except DatabaseNotPrepared as error:
        click.echo(error.by_hand)  # alone on standard output, as `fluxshard serve` does
        raise _Ended([f"{error.code} {error.message}", str(error.hint)], REFUSED) from error
    except RouterError as error:
        lines = [f"{error.code} {error.message}", *([error.hint] if error.hint else [])]
        raise _Ended(lines, REFUSED) from error
    except (MapUnavailable, CredentialsUnavailable) as error:
        raise _Ended([f"{error.code} {error}"], UNREACHABLE) from error
    except ShardMapError as error:
        raise _Ended([f"{error.code} {error}"], REFUSED) from error


@dataclass(frozen=True, slots=True)
class Source:
    """Where cluster and files are, as options and environment say."""

    catalog: Catalog
    directory: Path | None

    @property
    def settings(self) -> Settings:
        """What the environment says; `--catalog` takes the place of its DATABASE_URL."""
        url = self.catalog.url
        environ = os.environ if url is None else {**os.environ, "DATABASE_URL": url}
        return load_cluster_settings(environ, self.catalog.file)

    async def site(self, *, change: bool, files: bool = True) -> Site:
        """The cluster and its migrations. `change`: a first map is made where there is none.

        Without `files` there need not be a directory, unless one was named.
        """
        settings = self.settings
        environ = {**settings.environ, **self.catalog.environ}
        directory = self.path(settings)
        has_files = files or self.directory is not None or directory.is_dir()
        migrations = read_directory(directory) if has_files else ()
        given = given_cluster(settings)
        shard_map = await self.catalog.stored()
        if shard_map is None and change:
            starting = await starting_map(given, None, settings.environ, author=author())
            shard_map = starting.shard_map
        elif shard_map is None:
            shard_map = first_from(given, "undecided")
        database = settings.database

        def login(endpoint: Endpoint) -> Login:
            return resolve(endpoint, environ)

        def admin(endpoint: Endpoint) -> Login:
            if not database.admin_user:
                return login(endpoint)
            return Login(database.admin_user, database.admin_password or None)

        return Site(
            shard_map=shard_map,
            migrations=migrations,
            login=login,
            admin=admin,
            exposed=settings.api.exposed_schemas,
            by=author(),
            has_files=has_files,
        )

    def path(self, settings: Settings) -> Path:
        """The directory of migrations."""
        return self.directory or Path(settings.database.migrations_path)


def source_options(command: Callable[..., None]) -> Callable[..., None]:
    """`--dir`, `--catalog` and `--config`, given to the command as one `source`."""

    @wraps(command)
    def with_source(*, catalog: Catalog, directory: Path | None, **others: Any) -> None:
        command(source=Source(catalog, directory), **others)

    return click.option(
        "--dir",
        "directory",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="The directory of migrations.  [default: $FLUXBASE_DATABASE_USER_MIGRATIONS_PATH]",
    )(catalog_options(with_source))


def changing_options(command: Callable[..., None]) -> Callable[..., None]:
    """How to migrate, given to the command as `options`."""

    @wraps(command)  # which hands the options on that it has already
    def with_options(  # noqa: PLR0913 - one parameter per option
        *,
        allow: tuple[str, ...],
        lock_timeout: float,
        lock_patience: float,
        statement_timeout: float,
        wait: float,
        redo: bool,
        skip: bool,
        to: int | None = None,
        **others: Any,
    ) -> None:
        if redo and skip:
            raise click.UsageError("--redo and --skip exclude each other")
        unknown = Unknown.REDO if redo else Unknown.SKIP if skip else Unknown.REFUSE
        patience = Patience(lock_timeout, lock_patience, statement_timeout)
        options = Options(to, frozenset(allow), patience, wait, unknown)
        command(options=options, **others)

    for option in reversed(
        (
            click.option("--dry-run", is_flag=True, help="Only show what would be run where."),
            click.option("--allow", multiple=True, metavar="CODE", help="Accept this finding."),
            click.option(
                "--lock-timeout", type=_Duration(), default="1s", show_default=True,
                help="Longest wait of a statement for a lock, with others queueing behind it.",
            ),
            click.option(
                "--lock-patience", type=_Duration(), default="5m", show_default=True,
                help="For how long to try again.",
            ),
            click.option(
                "--statement-timeout", type=_Duration(), default="0", show_default=True,
                help="Longest time of a statement; 0: none.",
            ),
            click.option(
                "--wait", type=_Duration(), default="0", show_default=True,
                help="How long to wait for somebody else who is migrating.",
            ),
            click.option("--redo", is_flag=True, help="Run again what was begun and whose end nobody saw."),
            click.option("--skip", is_flag=True, help="Take it for done."),
        )
    ):  # fmt: skip
        with_options = option(with_options)
    return with_options
