"""Given values to `Settings`: every problem at once, and a word about names without effect."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar
from urllib.parse import quote

from server.auth.authenticator import keys_of
from server.auth.keys import KeysUnusable
from server.auth.role_path import role_path
from server.configuration.declaration import Declaration, declarations
from server.configuration.forms import ENDPOINTS, URL
from server.configuration.later import OF_COMMANDS, WITHOUT_EFFECT, without_effect
from server.configuration.postgrest import translated
from server.configuration.sources import Given, Sources, sources
from server.configuration.value_files import from_files
from server.errors import SettingsInvalid
from server.freshness_settings import FreshnessSettings, SharedSettings
from server.postgrest_settings import PostgrestSettings
from server.settings import (
    ApiSettings,
    AuthSettings,
    CorsSettings,
    DatabaseSettings,
    HttpSettings,
    LoggingSettings,
    MetricsSettings,
    MoveSettings,
    OpenApiSettings,
    ProcessSettings,
    ReplicaSettings,
    RequestSettings,
    RpcSettings,
    Settings,
    ShardSettings,
    SqlSettings,
)
from shardmap import Problem

SECTIONS: Final[Mapping[str, type[Any]]] = {
    "database": DatabaseSettings,
    "replicas": ReplicaSettings,
    "freshness": FreshnessSettings,
    "shared": SharedSettings,
    "moves": MoveSettings,
    "http": HttpSettings,
    "api": ApiSettings,
    "request": RequestSettings,
    "openapi": OpenApiSettings,
    "rpc": RpcSettings,
    "sql": SqlSettings,
    "auth": AuthSettings,
    "postgrest": PostgrestSettings,
    "cors": CorsSettings,
    "metrics": MetricsSettings,
    "logging": LoggingSettings,
    "process": ProcessSettings,
}

_PREFIXES: Final = ("FLUXBASE_", "FLUXSHARD_")
_SHARD: Final = re.compile(r"FLUXBASE_DATABASE_SHARD_(0|[1-9][0-9]{0,3})(_READ_REPLICAS)?")
_PARTS: Final = ("host", "port", "user", "password", "database")
"""Fields of the database given in parts; one of them is enough, the others have defaults."""

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name under our prefixes that means nothing, and what may have been meant."""

    name: str
    source: str
    meant: str | None


@dataclass(frozen=True, slots=True)
class Notices:
    """What the operator should hear of, though the server starts."""

    unknown: tuple[Unknown, ...] = ()
    without_effect: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    """Names of PostgREST's that have no effect, each with the reason."""


@dataclass(frozen=True, slots=True)
class SettingsSource:
    """Where the settings of a server come from, to be read again when they may have changed."""

    environ: Mapping[str, str]
    file: Path | None

    def load(self, over: Mapping[str, str] = NOTHING) -> tuple[Settings, Notices]:
        """The settings as they are now; `over` are PostgREST's from its database, which win.

        Raises:
            SettingsInvalid: See `load_settings`.
        """
        given = sources(self.environ, self.file)
        stored = {name: Given(text, "the database") for name, text in over.items()}
        return read_settings(replace(given, values={**given.values, **stored}))


def load_settings(environ: Mapping[str, str], file: Path | None) -> tuple[Settings, Notices]:
    """The settings of a file (if any) and the environment, which wins.

    Raises:
        SettingsInvalid: With every problem: of the file, of values, and between values.
    """
    return read_settings(sources(environ, file))


def read_settings(given: Sources) -> tuple[Settings, Notices]:
    """The settings that these values make.

    Raises:
        SettingsInvalid: See `load_settings`.
    """
    problems = list(given.problems)
    known = {name for declaration in all_declarations() for name in declaration.names}
    translation = translated(given.values, frozenset(known))
    problems += translation.problems
    values = from_files(translation.values, problems)
    sections = {name: _section(section, values, problems) for name, section in SECTIONS.items()}
    settings = Settings(**sections, environ={name: value.text for name, value in values.items()})
    settings = replace(settings, database=_database(settings.database, values, problems))
    problems += _contradictions(settings)
    if problems:
        raise SettingsInvalid(problems)
    notices = _notices(values)
    unknown = (
        *notices.unknown,
        *(Unknown(name, "PostgREST", None) for name in translation.unknown),
    )
    return settings, replace(notices, unknown=unknown, ignored=translation.without_effect)


def load_cluster_settings(environ: Mapping[str, str], file: Path | None) -> Settings:
    """Settings of which only databases, exposed schemas and the type of tenant keys count.

    For commands that change a cluster's map: what a server needs besides may be missing or wrong.

    Raises:
        SettingsInvalid: With every problem of the file and of those settings.
    """
    given = sources(environ, file)
    problems = list(given.problems)
    database = _section(DatabaseSettings, given.values, problems)
    database = _database(database, given.values, problems)
    of_the_server: list[Problem] = []
    auth = _section(AuthSettings, given.values, of_the_server)
    api = _section(ApiSettings, given.values, of_the_server)
    names = (
        dict(declarations(AuthSettings))["tenant_key_type"].name,
        dict(declarations(ApiSettings))["exposed_schemas"].name,
    )
    problems += [problem for problem in of_the_server if problem.path.startswith(names)]
    if problems:
        raise SettingsInvalid(problems)
    values = {name: value.text for name, value in given.values.items()}
    return Settings(database=database, api=api, auth=auth, environ=values)


def load_replica_settings(environ: Mapping[str, str], file: Path | None) -> ReplicaSettings:
    """The settings about replicas alone, for commands that only say who would answer.

    Raises:
        SettingsInvalid: With every problem of the file and of those settings.
    """
    given = sources(environ, file)
    problems = list(given.problems)
    replicas = _section(ReplicaSettings, given.values, problems)
    if problems:
        raise SettingsInvalid(problems)
    return replicas


def load_auth_settings(environ: Mapping[str, str], file: Path | None) -> AuthSettings:
    """The settings about tokens alone, for commands that need no database.

    Raises:
        SettingsInvalid: With every problem of the file and of those settings.
    """
    given = sources(environ, file)
    problems = list(given.problems)
    values = from_files(translated(given.values, frozenset()).values, problems)
    auth = _section(AuthSettings, values, problems)
    problems += _of_auth(auth)
    if problems:
        raise SettingsInvalid(problems)
    return auth


def all_declarations() -> Iterator[Declaration]:
    """Every setting there is, section by section."""
    for section in SECTIONS.values():
        for _, declaration in declarations(section):
            yield declaration


def _section(section: type[S], values: Mapping[str, Given], problems: list[Problem]) -> S:
    found: dict[str, object] = {}
    for member, declaration in declarations(section):
        given = _given(declaration, values, problems)
        if given is None:
            if declaration.required:
                problems.append(Problem(declaration.name, "is not set"))
            continue
        name, value = given
        try:
            found[member] = declaration.form.parse(value.text)
        except ValueError as error:
            problems.append(Problem(_place(name, value), str(error)))
    return section(**found)


def _given(
    declaration: Declaration, values: Mapping[str, Given], problems: list[Problem]
) -> tuple[str, Given] | None:
    named = [(name, values[name]) for name in declaration.names if name in values]
    if len({value.text for _, value in named}) > 1:
        names = " and ".join(name for name, _ in named)
        problems.append(Problem(declaration.name, f"{names} contradict each other"))
    return named[0] if named else None


def _place(name: str, value: Given) -> str:
    return name if value.source == "environment" else f"{name} ({value.source})"


def _database(
    database: DatabaseSettings, values: Mapping[str, Given], problems: list[Problem]
) -> DatabaseSettings:
    names = dict(declarations(DatabaseSettings))
    shards = _shards(values, problems)
    given_as = next((name for name in names["url"].names if name in values), None)
    if given_as is not None:
        return replace(database, url_name=given_as, shards=shards)
    if not any(names[part].name in values for part in _PARTS):
        problems.append(Problem("DATABASE_URL", "is not set"))
        return replace(database, shards=shards)
    login = quote(database.user, safe="")
    host = f"[{database.host}]" if ":" in database.host else quote(database.host, safe="")
    url = (
        f"postgres://{login}@{host}:{database.port}/{quote(database.database, safe='')}"
        f"?sslmode={database.ssl_mode}"
    )
    try:
        URL.parse(url)
    except ValueError as error:
        problems.append(Problem(names["host"].name, str(error)))
    return replace(database, url=url, url_name=names["password"].name, shards=shards)


def _shards(values: Mapping[str, Given], problems: list[Problem]) -> tuple[ShardSettings, ...]:
    numbers = sorted(
        int(match[1]) for name in values if (match := _SHARD.fullmatch(name)) and not match[2]
    )
    replica_numbers = {
        int(match[1]) for name in values if (match := _SHARD.fullmatch(name)) and match[2]
    }
    if missing := [number for number in range(len(numbers)) if number not in numbers]:
        problems.append(
            Problem(
                f"FLUXBASE_DATABASE_SHARD_{missing[0]}",
                f"is not set, and FLUXBASE_DATABASE_SHARD_{numbers[-1]} is: "
                "shards are numbered from 0 without a gap",
            )
        )
    problems += [
        Problem(f"FLUXBASE_DATABASE_SHARD_{number}_READ_REPLICAS", "is set without its shard")
        for number in sorted(replica_numbers - set(numbers))
    ]
    shards = []
    for number in numbers:
        name = f"FLUXBASE_DATABASE_SHARD_{number}"
        replicas_name = f"{name}_READ_REPLICAS"
        try:
            url = URL.parse(values[name].text)
            replicas: tuple[str, ...] = ()
            if replicas_name in values:
                name = replicas_name
                replicas = ENDPOINTS.parse(values[name].text)
        except ValueError as error:
            problems.append(Problem(_place(name, values[name]), str(error)))
        else:
            shards.append(
                ShardSettings(
                    str(url), f"FLUXBASE_DATABASE_SHARD_{number}", replicas, replicas_name
                )
            )
    return tuple(shards)


def _contradictions(settings: Settings) -> Iterator[Problem]:
    database, api, http, metrics = settings.database, settings.api, settings.http, settings.metrics
    if database.min_connections > database.max_connections:
        yield Problem(
            "FLUXBASE_DATABASE_MIN_CONNECTIONS",
            f"is {database.min_connections}, more than "
            f"FLUXBASE_DATABASE_MAX_CONNECTIONS={database.max_connections}",
        )
    least = 2 * settings.process.workers
    if database.max_connections < least:
        yield Problem(
            "FLUXBASE_DATABASE_MAX_CONNECTIONS",
            f"is {database.max_connections}, too few for FLUXSHARD_WORKERS="
            f"{settings.process.workers}: each needs one for probes and one to work with",
        )
    if api.default_page_size > api.max_page_size:
        yield Problem(
            "FLUXBASE_API_DEFAULT_PAGE_SIZE",
            f"is {api.default_page_size}, more than FLUXBASE_API_MAX_PAGE_SIZE={api.max_page_size}",
        )
    if not api.exposed_schemas:
        yield Problem("FLUXSHARD_EXPOSED_SCHEMAS", "names no schema")
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]+", metrics.path, re.ASCII):
        yield Problem("FLUXBASE_METRICS_PATH", "is a path that begins with / and goes on")
    if metrics.enabled and metrics.port and metrics.port == http.address.port:
        yield Problem(
            "FLUXBASE_METRICS_PORT",
            "is the port of FLUXBASE_SERVER_ADDRESS; 0 serves the metrics there only",
        )
    yield from _of_auth(settings.auth)
    if settings.postgrest.standalone and database.shards:
        yield Problem("FLUXSHARD_STANDALONE", "is for one database, and there are shards")


def _of_auth(auth: AuthSettings) -> Iterator[Problem]:
    if not auth.tenant_claim:
        yield Problem("FLUXSHARD_TENANT_CLAIM", "names no claim")
    try:
        keys_of(auth)
    except KeysUnusable as error:
        yield Problem("FLUXBASE_AUTH_JWT_SECRET", str(error))
    try:
        role_path(auth.role_claim)
    except ValueError as error:
        yield Problem("FLUXSHARD_JWT_ROLE_CLAIM", str(error))


def _notices(values: Mapping[str, Given]) -> Notices:
    known = {name for declaration in all_declarations() for name in declaration.names}
    unknown, idle = [], []
    for name, value in values.items():
        if not name.startswith(_PREFIXES) or name in known | OF_COMMANDS or _SHARD.fullmatch(name):
            continue
        if without_effect(name):
            idle.append(name)
            continue
        near = difflib.get_close_matches(
            name, known | WITHOUT_EFFECT | OF_COMMANDS, n=1, cutoff=0.8
        )
        unknown.append(Unknown(name, value.source, near[0] if near else None))
    return Notices(tuple(unknown), tuple(sorted(idle)))
