"""The settings of a PostgREST by their own names: each is one of ours, or told to have no effect.

Names of its file (`db-uri`) and of its database (`pgrst.db_schemas`) are read as those of its
environment (`PGRST_DB_URI`). `PGRST_DB_URI` also means that this server takes the place of a
PostgREST, so that its defaults are that one's.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, unquote

from server.configuration.postgrest_names import APP_SETTING, PREFIX
from server.configuration.sources import Given
from shardmap import Problem

URI: Final = "PGRST_DB_URI"

_OLD_NAMES: Final = {
    "PGRST_DB_SCHEMA": "PGRST_DB_SCHEMAS",
    "PGRST_DB_POOL_TIMEOUT": "PGRST_DB_POOL_MAX_IDLETIME",
    "PGRST_MAX_ROWS": "PGRST_DB_MAX_ROWS",
    "PGRST_PRE_REQUEST": "PGRST_DB_PRE_REQUEST",
    "PGRST_ROLE_CLAIM_KEY": "PGRST_JWT_ROLE_CLAIM_KEY",
    "PGRST_SECRET_IS_BASE64": "PGRST_JWT_SECRET_IS_BASE64",
    "PGRST_ROOT_SPEC": "PGRST_DB_ROOT_SPEC",
    "PGRST_SERVER_PROXY_URI": "PGRST_OPENAPI_SERVER_PROXY_URI",
}

_RENAMED: Final = {
    "PGRST_DB_SCHEMAS": "FLUXSHARD_EXPOSED_SCHEMAS",
    "PGRST_DB_EXTRA_SEARCH_PATH": "FLUXSHARD_EXTRA_SEARCH_PATH",
    "PGRST_DB_ANON_ROLE": "FLUXSHARD_ANON_ROLE",
    "PGRST_DB_MAX_ROWS": "FLUXSHARD_MAX_ROWS",
    "PGRST_DB_CHANNEL": "FLUXSHARD_RELOAD_CHANNEL",
    "PGRST_DB_CHANNEL_ENABLED": "FLUXSHARD_RELOAD_CHANNEL_ENABLED",
    "PGRST_DB_CONFIG": "FLUXSHARD_CONFIG_IN_DATABASE",
    "PGRST_DB_PRE_CONFIG": "FLUXSHARD_PRE_CONFIG",
    "PGRST_JWT_SECRET": "FLUXBASE_AUTH_JWT_SECRET",
    "PGRST_JWT_SECRET_IS_BASE64": "FLUXSHARD_JWT_SECRET_IS_BASE64",
    "PGRST_JWT_AUD": "FLUXSHARD_JWT_AUDIENCE",
    "PGRST_JWT_ROLE_CLAIM_KEY": "FLUXSHARD_JWT_ROLE_CLAIM",
    "PGRST_JWT_CACHE_MAX_ENTRIES": "FLUXSHARD_TOKEN_CACHE_ENTRIES",
    "PGRST_SERVER_TIMING_ENABLED": "FLUXSHARD_SERVER_TIMING",
    "PGRST_SERVER_TRACE_HEADER": "FLUXSHARD_TRACE_HEADER",
    "PGRST_SERVER_CORS_ALLOWED_ORIGINS": "FLUXBASE_CORS_ALLOWED_ORIGINS",
}
"""Written as ours are."""

_SECONDS: Final = {
    "PGRST_DB_POOL_ACQUISITION_TIMEOUT": "FLUXSHARD_ACQUIRE_TIMEOUT",
    "PGRST_DB_POOL_MAX_IDLETIME": "FLUXBASE_DATABASE_MAX_CONN_IDLE_TIME",
    "PGRST_DB_POOL_MAX_LIFETIME": "FLUXBASE_DATABASE_MAX_CONN_LIFETIME",
}
"""Whole seconds, without a unit."""

WITHOUT_EFFECT: Final = {
    "PGRST_DB_POOL_AUTOMATIC_RECOVERY": "connections are always opened again",
    "PGRST_DB_HOISTED_TX_SETTINGS": (
        "settings of a function hold while it runs, as PostgreSQL sets them, and not before"
    ),
    "PGRST_JWT_CACHE_MAX_LIFETIME": "tokens are remembered until they expire",
    "PGRST_LOG_QUERY": "statements are not logged",
    "PGRST_SERVER_UNIX_SOCKET": "the server listens on TCP only",
    "PGRST_SERVER_UNIX_SOCKET_MODE": "the server listens on TCP only",
    "PGRST_CLIENT_ERROR_VERBOSITY": "errors are always told whole",
    "PGRST_URL_USE_LEGACY_TARGET_NAMES": "aliases of embeds are their names, and so is the relation",
    "PGRST_DB_TIMEZONE_ENABLED": "time zones are PostgreSQL's to know",
}
"""Accepted, and why they change nothing."""

_LEVELS: Final = {
    "crit": "error",
    "error": "error",
    "warn": "warn",
    "info": "info",
    "debug": "debug",
}
_HOSTS: Final = {
    "*": "",
    "*4": "",
    "*6": "",
    "!4": "0.0.0.0",  # noqa: S104 - as its own default is
    "!6": "::",
}
"""Every address, of either kind or of one."""

_DEFAULTS: Final = {
    "FLUXSHARD_STANDALONE": "true",
    "FLUXSHARD_EXTRA_SEARCH_PATH": "public",
    "FLUXSHARD_DATABASE_ROLES": "*",
    "FLUXSHARD_JWT_ISSUERS": "*",
    "FLUXSHARD_TOKEN_CACHE_ENTRIES": "1000",
    "FLUXSHARD_POSITION_HEADER": "false",
    "FLUXSHARD_ACQUIRE_TIMEOUT": "10s",
    "FLUXBASE_DATABASE_MIN_CONNECTIONS": "1",
    "FLUXBASE_DATABASE_MAX_CONN_IDLE_TIME": "30s",
    "FLUXBASE_DATABASE_MAX_CONN_LIFETIME": "1800s",
    "FLUXBASE_METRICS_PORT": "0",
    "FLUXBASE_CORS_ALLOWED_ORIGINS": "*",
    "FLUXBASE_CORS_ALLOWED_METHODS": "GET,POST,PATCH,PUT,DELETE,OPTIONS,HEAD",
    "FLUXBASE_CORS_ALLOWED_HEADERS": "*",
    "FLUXBASE_CORS_EXPOSED_HEADERS": "Content-Encoding,Content-Location,Content-Range,Content-Type,"
    "Date,Location,Server,Transfer-Encoding,Range-Unit",
    "FLUXBASE_CORS_MAX_AGE": "86400",
}
"""What a PostgREST does where nothing is said."""


class Translation(NamedTuple):
    """The same values with ours for PostgREST's, what is wrong with these, and what has no effect."""

    values: Mapping[str, Given]
    problems: tuple[Problem, ...]
    without_effect: tuple[str, ...]
    """Names, each with the reason."""
    unknown: tuple[str, ...]


def translated(values: Mapping[str, Given], known: frozenset[str]) -> Translation:
    """The values with PostgREST's names as ours. `known` are names that settings have themselves."""
    if not any(name.startswith(PREFIX) for name in values):
        return Translation(values, (), (), ())
    return _Translator(values, known).translation()


class _Translator:
    """One reading of all values."""

    def __init__(self, values: Mapping[str, Given], known: frozenset[str]) -> None:
        self._known = known
        self._problems: list[Problem] = []
        self._idle: list[str] = []
        self._unknown: list[str] = []
        self._ours = {name: given for name, given in values.items() if not name.startswith(PREFIX)}
        self._theirs: dict[str, Given] = {}
        for name, given in values.items():
            if name.startswith(PREFIX):
                new = _OLD_NAMES.get(name, name)
                if new == name or new not in values:
                    self._theirs[new] = given

    def translation(self) -> Translation:
        special: Mapping[str, Callable[[str, Given], None]] = {
            URI: self._uri,
            "PGRST_DB_POOL": self._pool,
            "PGRST_DB_PREPARED_STATEMENTS": self._prepared,
            "PGRST_LOG_LEVEL": self._level,
            "PGRST_SERVER_HOST": self._address,
            "PGRST_SERVER_PORT": self._address,
            "PGRST_ADMIN_SERVER_HOST": self._admin,
            "PGRST_ADMIN_SERVER_PORT": self._admin,
        }
        for name, given in self._theirs.items():
            if name in special:
                special[name](name, given)
            elif name in _RENAMED:
                self._give(name, _RENAMED[name], given.text)
            elif name in _SECONDS:
                self._give(name, _SECONDS[name], f"{given.text.strip()}s")
            elif name in self._known or name.startswith(APP_SETTING):
                self._ours[name] = given
            elif name in WITHOUT_EFFECT:
                self._idle.append(f"{name}: {WITHOUT_EFFECT[name]}")
            else:
                self._unknown.append(name)
        if URI in self._theirs:
            self._stand_in()
        return Translation(
            self._ours, tuple(self._problems), tuple(self._idle), tuple(self._unknown)
        )

    def _give(self, theirs: str, ours: str, text: str) -> None:
        if ours in self._ours and self._ours[ours].text != text and ours not in _DEFAULTS:
            self._problems.append(Problem(ours, f"{ours} and {theirs} contradict each other"))
        self._ours.setdefault(ours, Given(text, theirs))

    def _stand_in(self) -> None:
        """The defaults of a PostgREST, for what nobody has said."""
        for name, text in _DEFAULTS.items():
            self._ours.setdefault(name, Given(text, URI))
        if "FLUXSHARD_ANON_ROLE" in self._ours:
            self._ours.setdefault("FLUXSHARD_ANONYMOUS", Given("true", URI))
        else:
            self._ours["FLUXSHARD_ANON_ROLE"] = Given("", URI)
        if "FLUXBASE_AUTH_JWT_SECRET" not in self._ours:
            self._ours["FLUXBASE_AUTH_JWT_SECRET"] = Given("", URI)
        for name, method in (("PGRST_SERVER_PORT", self._address), ("PGRST_DB_POOL", self._pool)):
            if name not in self._theirs:
                method(name, Given("", URI))

    def _uri(self, name: str, given: Given) -> None:
        try:
            url = _as_url(given.text.strip(), self._ours)
        except ValueError as error:
            self._problems.append(Problem(name, str(error)))
            return
        if self._theirs.get("PGRST_DB_PREPARED_STATEMENTS", Given("true", "")).text.strip() in {
            "false",
            '"false"',
        }:
            url += ("&" if "?" in url else "?") + "pooling=transaction"
        self._give(name, "DATABASE_URL", url)

    def _prepared(self, name: str, given: Given) -> None:
        """Together with the address: it means that a pooler in transaction mode is in between."""

    def _pool(self, name: str, given: Given) -> None:
        """Our ceiling is for all workers and has a probe of each in it, theirs is the pool."""
        size, workers = given.text.strip() or "10", "1"
        if "FLUXSHARD_WORKERS" in self._ours:
            workers = self._ours["FLUXSHARD_WORKERS"].text.strip()
        if not (size.isdecimal() and workers.isdecimal() and int(size) > 0):
            self._problems.append(Problem(name, f"{size!r} is no whole number above 0"))
            return
        if "FLUXBASE_DATABASE_MAX_CONNECTIONS" not in self._ours:
            most = max(int(size), int(workers)) + int(workers)
            self._give(name, "FLUXBASE_DATABASE_MAX_CONNECTIONS", str(most))

    def _level(self, name: str, given: Given) -> None:
        word = given.text.strip().strip('"')
        if word not in _LEVELS:
            self._problems.append(Problem(name, f"{word!r} is none of {', '.join(_LEVELS)}"))
            return
        self._give(name, "FLUXBASE_LOGGING_CONSOLE_LEVEL", _LEVELS[word])

    def _address(self, _: str, given: Given) -> None:
        host = self._theirs.get("PGRST_SERVER_HOST", Given("!4", "")).text.strip()
        port = self._theirs.get("PGRST_SERVER_PORT", Given("3000", "")).text.strip()
        self._ours.setdefault(
            "FLUXBASE_SERVER_ADDRESS", Given(_listening(host, port), given.source)
        )

    def _admin(self, _: str, given: Given) -> None:
        if "PGRST_ADMIN_SERVER_PORT" not in self._theirs:
            return
        host = self._theirs.get("PGRST_ADMIN_SERVER_HOST") or self._theirs.get("PGRST_SERVER_HOST")
        where = _listening(
            "!4" if host is None else host.text.strip(),
            self._theirs["PGRST_ADMIN_SERVER_PORT"].text.strip(),
        )
        self._ours.setdefault("FLUXSHARD_ADMIN_ADDRESS", Given(where, given.source))


def _listening(host: str, port: str) -> str:
    host = _HOSTS.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_KEYWORD: Final = re.compile(r"\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s']*))\s*", re.DOTALL)
_LIBPQ: Final = {
    "host": ("PGHOST", "/var/run/postgresql"),
    "port": ("PGPORT", "5432"),
    "user": ("PGUSER", ""),
    "password": ("PGPASSWORD", ""),
    "dbname": ("PGDATABASE", ""),
    "sslmode": ("PGSSLMODE", ""),
}
_DROPPED: Final = frozenset({"application_name", "fallback_application_name", "connect_timeout"})


def _as_url(text: str, values: Mapping[str, Given]) -> str:
    """A connection string of libpq as a url, with what it leaves out taken from libpq's variables.

    Raises:
        ValueError: It is no connection string.
    """
    named = dict(_keywords(text))
    for key, (variable, default) in _LIBPQ.items():
        if key not in named:
            given = values.get(variable)
            value = given.text.strip() if given is not None else default
            if value:
                named[key] = value
    if "user" in named:
        named.setdefault("dbname", named["user"])
    pairs = (f"{key}={quote(value, safe='')}" for key, value in named.items())
    return "postgres:///?" + "&".join(pairs)


def _keywords(text: str) -> Iterator[tuple[str, str]]:
    if text.startswith(("postgres://", "postgresql://")):
        yield from _of_uri(text)
        return
    at = 0
    while at < len(text):
        match = _KEYWORD.match(text, at)
        if match is None:
            raise ValueError("is neither postgres://… nor key=value as libpq has them")
        value = match[2] if match[2] is not None else match[3]
        if match[1] not in _DROPPED:
            yield match[1], re.sub(r"\\(.)", r"\1", value)
        at = match.end()


def _of_uri(text: str) -> Iterator[tuple[str, str]]:
    """The parts of a url, still as `shardmap` will read them."""
    rest = text.split("://", 1)[1]
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    login, _, place = authority.rpartition("@")
    user, _, password = login.partition(":")
    if user:
        yield "user", unquote(user)
    if password:
        yield "password", unquote(password)
    host, port = place, ""
    if match := re.fullmatch(r"(\[[^\]]*\]|[^:]*):([0-9]*)", place):
        host, port = match.groups()
    if host:
        yield "host", unquote(host.strip("[]"))
    if port:
        yield "port", port
    if path:
        yield "dbname", unquote(path)
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in _DROPPED:
            yield key, value
