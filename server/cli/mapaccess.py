"""How commands reach the shard map: their options, what they read, and how errors end them."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import click

from server.catalog import catalog_session
from server.configuration.reading import load_cluster_settings, load_replica_settings
from server.errors import SettingsInvalid
from server.mapstart import given_cluster
from server.settings import ReplicaSettings, Settings
from shardmap import (
    CATALOG,
    CatalogSource,
    CredentialsUnavailable,
    Endpoint,
    InvalidMap,
    InvalidUrl,
    MapRefused,
    MapUnavailable,
    Problem,
    ShardMap,
    ShardMapError,
    endpoint_at_url,
    first_from,
    read_map,
    write_json,
    write_yaml,
)

T = TypeVar("T")

PROBLEMS: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3

CATALOG_OPTION: Final = "--catalog"


class Failed(click.ClickException):
    """What ends a command: lines for people, and an exit code for scripts."""

    def __init__(self, lines: list[str], exit_code: int) -> None:
        super().__init__("\n".join(lines))
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the lines as they are."""
        click.echo(self.message, err=True, file=file)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Where the maps are, as the options and the environment say; looked up when it is used."""

    url: str | None
    file: Path | None

    @property
    def settings(self) -> Settings:
        """What the environment says about the cluster."""
        return load_cluster_settings(os.environ, self.file)

    @property
    def environ(self) -> Mapping[str, str]:
        """Where `env:` credentials are looked up; `--catalog` counts as one of them."""
        if self.url is None:
            return self.settings.environ
        return {**os.environ, CATALOG_OPTION: self.url}

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The servers of the catalog, the declared primary first."""
        if self.url is not None:
            return (endpoint_at_url(self.url, CATALOG, credentials=f"env:{CATALOG_OPTION}"),)
        seeded = first_from(given_cluster(self.settings), "undecided")
        return (seeded.catalog, *seeded.catalog_replicas)

    async def replicas(self) -> ReplicaSettings:
        """What the environment says about replicas."""
        return load_replica_settings(os.environ, self.file)

    async def stored(self) -> ShardMap | None:
        """The map in force."""
        async with catalog_session(self.endpoints, self.environ, writable=False) as session:
            return await CatalogSource(session).newest()


def catalog_options(command: Callable[..., None]) -> Callable[..., None]:
    """`--catalog` and `--config`, given to the command as one `catalog`."""

    @wraps(command)
    def with_catalog(*, catalog_url: str | None, config: Path | None, **others: Any) -> None:
        command(catalog=Catalog(catalog_url, config), **others)

    with_config = click.option(
        "--config",
        envvar="FLUXSHARD_CONFIG",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A file of settings, for names that the environment lacks.",
    )(with_catalog)
    return click.option(
        CATALOG_OPTION,
        "catalog_url",
        metavar="URL",
        help="The catalog's database.  [default: $DATABASE_URL]",
    )(with_config)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
file_argument = click.argument("file", type=click.File(encoding="utf-8"))


def run(work: Coroutine[object, object, T]) -> T:
    """The result; an error ends the command with its code, its lines and an exit code."""
    try:
        return asyncio.run(work)
    except SettingsInvalid as error:
        raise Failed([str(problem) for problem in error.problems], USAGE) from error
    except InvalidUrl as error:
        raise Failed([f"{CATALOG_OPTION}: {error}"], USAGE) from error
    except (InvalidMap, MapRefused) as error:
        raise Failed([f"{error.code} {problem}" for problem in error.problems], PROBLEMS) from error
    except (MapUnavailable, CredentialsUnavailable) as error:
        raise Failed([f"{error.code} {error}"], UNREACHABLE) from error
    except ShardMapError as error:
        raise Failed([f"{error.code} {error}"], PROBLEMS) from error


def read_file(file: IO[str], previous: ShardMap | None) -> ShardMap:
    """The map of an opened file.

    Raises:
        InvalidMap: With every problem.
    """
    return read_map(file_text(file), previous)


def file_text(file: IO[str]) -> str:
    """What the file says.

    Raises:
        InvalidMap: It is not UTF-8.
    """
    try:
        return file.read()
    except UnicodeDecodeError as error:
        raise InvalidMap([Problem("document", "is not UTF-8")]) from error


def put_map(shard_map: ShardMap, output: Path | None, *, as_json: bool) -> None:
    """Print the map, or write it to a file."""
    text = write_json(shard_map) if as_json else write_yaml(shard_map)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failed([f"{output}: {error.strerror}"], USAGE) from error
