"""Where a PostgreSQL url or `host:port` points, read without guessing and without its secret."""

import re
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote, unquote

from shardmap.endpoint import Place, Pooling, Tls
from shardmap.errors import InvalidUrl

DEFAULT_PORT: Final = 5432

_SCHEMES: Final = ("postgres://", "postgresql://")
_PARAMETERS: Final = ("host", "port", "dbname", "user", "password", "sslmode", "pooling", "direct")
_BROKEN_PERCENT: Final = re.compile(r"%(?![0-9a-fA-F]{2})")
_ENCODE_HINT: Final = "a password with : / ? # @ or % in it must be percent-encoded"


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of an endpoint that a url names; None where it is silent."""

    host: str | None = None
    port: int | None = None
    database: str | None = None
    user: str | None = None
    tls: Tls | None = None
    pooling: Pooling | None = None
    direct: Place | None = None


def is_url(text: str) -> bool:
    """Whether the text is meant as a PostgreSQL url."""
    return text.startswith(_SCHEMES)


def parse_url(url: str) -> tuple[Address, str | None]:
    """The address and the password of `postgres://user:password@host:port/database?sslmode=…`.

    Follows libpq's connection URIs (PostgreSQL documentation, 34.1.1.2): `[::1]` as host,
    percent-encoding, a socket directory as `?host=/run/postgresql` or `%2Frun%2Fpostgresql`.
    Parameters win over the part before them. Two are ours: `pooling=transaction` and `direct=…`,
    see `Endpoint`.

    Raises:
        InvalidUrl: Not such a url, several hosts, or a parameter that we would have to ignore.
            The message holds no part of the url that could be its password.
    """
    scheme = next((scheme for scheme in _SCHEMES if url.startswith(scheme)), None)
    if scheme is None:
        raise InvalidUrl("a PostgreSQL url starts with postgres:// or postgresql://")
    if "#" in url:
        raise InvalidUrl(f'"#" has no meaning in a PostgreSQL url; {_ENCODE_HINT}')
    rest, _, query = url.removeprefix(scheme).partition("?")
    authority, _, path = rest.partition("/")
    if "@" in path or ("@" in query and "@" not in authority):
        raise InvalidUrl(f'"@" stands where no host follows; {_ENCODE_HINT}')
    login, _, place = authority.rpartition("@")
    user, colon, secret = login.partition(":")
    try:
        host, port = split_host_port(place) if place else (None, None)
    except InvalidUrl as error:
        raise InvalidUrl(f"{error}; {_ENCODE_HINT}") from error
    named = _parameters(query)

    if "host" in named:
        host = check_host(named["host"])
    if "port" in named:
        port = _port(named["port"])
    address = Address(
        host=host,
        port=port,
        database=named.get("dbname") or _decoded(path) or None,
        user=named.get("user") or _decoded(user) or None,
        tls=_tls(named["sslmode"]) if "sslmode" in named else None,
        pooling=_pooling(named["pooling"]) if "pooling" in named else None,
    )
    if "direct" in named:
        address = replace(address, direct=read_place(named["direct"], address.database))
    password = named.get("password") or (_decoded(secret) if colon else None) or None
    return address, password


def read_place(text: str, database: str | None) -> Place:
    """The place that `host:port` or a url without a login names; `database` where it is silent.

    Raises:
        InvalidUrl: It names no host or database, or more than a place.
    """
    if is_url(text):
        address, password = parse_url(text)
        if (
            password is not None
            or (address.user, address.tls, address.pooling, address.direct) != (None,) * 4
        ):
            raise InvalidUrl("a direct address is host, port and database; all else is as before")
    else:
        host, port = split_host_port(text)
        address = Address(host=host, port=port)
    name = address.database or database
    if address.host is None or name is None:
        raise InvalidUrl("a direct address names a host, and a database where nothing else does")
    return Place(address.host, address.port or DEFAULT_PORT, name)


def place_url(place: Place) -> str:
    """The url that `read_place` reads as this place."""
    host = quote(place.host, safe=":")
    host = f"[{host}]" if ":" in host else host
    return f"postgres://{host}:{place.port}/{quote(place.database, safe='')}"


def split_host_port(text: str) -> tuple[str, int | None]:
    """Host and port of `host`, `host:port`, `[::1]:port` or `/socket/directory:port`.

    Raises:
        InvalidUrl: No host, several hosts, or a port that is none.
    """
    if "," in text:
        raise InvalidUrl("several hosts in one address are not supported; list them one by one")
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise InvalidUrl("an IPv6 address is written [address] or [address]:port")
        return check_host(_decoded(host)), _port(rest[1:]) if rest else None
    host, colon, port = text.rpartition(":")
    if not colon:
        return check_host(_decoded(text)), None
    if ":" in host:
        raise InvalidUrl("an IPv6 address is written [address] or [address]:port")
    return check_host(_decoded(host)), _port(port)


def check_host(host: str) -> str:
    """The same name, address or socket directory, once it is sure to be one.

    Raises:
        InvalidUrl: It is empty, a list, or has characters that no host has.
    """
    if not host:
        raise InvalidUrl("the address names no host")
    if "," in host:
        raise InvalidUrl("several hosts in one address are not supported; list them one by one")
    if host.startswith("/") and host.isprintable():
        return host.rstrip("/") or "/"
    if not re.fullmatch(r"[A-Za-z0-9_.:%-]+", host):
        raise InvalidUrl("the host has characters that no host name has")
    return host


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or not 1 <= int(text) <= 65535:
        raise InvalidUrl("the port is no number from 1 to 65535")
    return int(text)


def _tls(text: str) -> Tls:
    if text not in set(Tls):
        raise InvalidUrl(f"sslmode is one of {', '.join(Tls)}")
    return Tls(text)


def _pooling(text: str) -> Pooling:
    if text not in set(Pooling):
        raise InvalidUrl(f"pooling is one of {', '.join(Pooling)}")
    return Pooling(text)


def _parameters(query: str) -> dict[str, str]:
    named: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        name, equals, value = pair.partition("=")
        if not equals or not re.fullmatch(r"[a-z_]+", name):
            raise InvalidUrl(f"what follows ? is name=value joined by &; {_ENCODE_HINT}")
        if name not in _PARAMETERS:
            raise InvalidUrl(
                f"the parameter {name} is not supported (supported: {', '.join(_PARAMETERS)})"
            )
        if name in named:
            raise InvalidUrl(f"the parameter {name} is there twice")
        named[name] = _decoded(value)
    return named


def _decoded(text: str) -> str:
    if _BROKEN_PERCENT.search(text):
        raise InvalidUrl(f"a % is not followed by two hexadecimal digits; {_ENCODE_HINT}")
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidUrl("percent-encoded bytes are not UTF-8") from error
    if "\0" in decoded:
        raise InvalidUrl("a url holds no NUL")
    return decoded
