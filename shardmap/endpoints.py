"""Endpoints as people write them: a mapping, a url, or `host:port` that leans on its primary."""

import re
import string
from dataclasses import dataclass
from typing import Final

from shardmap.address import (
    DEFAULT_PORT,
    Address,
    check_host,
    is_url,
    parse_url,
    read_place,
    split_host_port,
)
from shardmap.credentials import is_reference
from shardmap.endpoint import Endpoint, Place, Pooling, Tls
from shardmap.errors import InvalidUrl, Problem
from shardmap.fields import Fields
from shardmap.markup import Plain, dotted

MAX_REPLICAS: Final = 25
"""The servers of a shard are named by letters, a to z."""
MAX_WEIGHT: Final = 100

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SECRETS: Final = ("password", "passwd", "pass", "secret", "pgpassword")
_CREDENTIALS_HINT: Final = "name its place instead, as credentials: env:NAME or file:/path"


@dataclass(frozen=True, slots=True)
class Declared:
    """What an endpoint is called, and what it takes over where it is silent.

    `like` is the primary of a replica: its database, user, credentials and tls count. Whether a pooler stands
    before it, each says for itself.
    """

    name: str
    like: Endpoint | None = None


def endpoint_name(shard: str, position: int) -> str:
    """The name of a shard's endpoint that was given none: `shard_0-a` is declared the primary.

    Names carry no role, since roles change by promotion.
    """
    return f"{shard}-{string.ascii_lowercase[position]}"


def endpoint_at(address: Address, declared: Declared, credentials: str | None) -> Endpoint:
    """The endpoint at an address, completed by what it is like.

    Raises:
        InvalidUrl: Host, database or user is named by neither.
    """
    like = declared.like
    database = address.database or (like.database if like else None)
    user = address.user or (like.user if like else None)
    for what, part in (("host", address.host), ("database", database), ("user", user)):
        if part is None:
            raise InvalidUrl(f"the address names no {what}")
    return Endpoint(
        name=declared.name,
        host=address.host or "",
        port=address.port or DEFAULT_PORT,
        database=database or "",
        user=user or "",
        credentials=credentials if credentials is not None or not like else like.credentials,
        tls=address.tls if address.tls is not None or not like else like.tls,
        pooling=address.pooling or Pooling.NONE,
        direct=address.direct,
    )


def endpoint_at_url(url: str, shard: str, credentials: str | None) -> Endpoint:
    """The endpoint that a url names wholly. Its password is not kept.

    Raises:
        InvalidUrl: It is no such url, or names no host, database or user.
    """
    address, _ = parse_url(url)
    return endpoint_at(address, Declared(endpoint_name(shard, 0)), credentials)


def read_endpoint(
    value: Plain, path: str, problems: list[Problem], declared: Declared
) -> Endpoint | None:
    """The endpoint that a document describes, or None with its problems reported."""
    before = len(problems)
    if isinstance(value, str):
        address = _address(value, path, problems)
        return _completed(address, path, problems, declared) if address is not None else None
    fields = Fields(value, path, problems)
    if not isinstance(value, dict):
        return None
    for secret in _SECRETS:
        if secret in fields:
            fields.value(secret)
            fields.report(secret, f"a map holds no passwords; {_CREDENTIALS_HINT}")
    address = _merged(fields)
    name = fields.text("name", NAME, "letters, digits, '.', '_' and '-', at most 63")
    zone = fields.text("zone")
    weight = fields.integer("weight", range(MAX_WEIGHT + 1))
    credentials = _credentials(fields, declared)
    like = declared.like
    direct = _direct(fields, address, like.database if like is not None else None)
    fields.close()
    if len(problems) > before:
        return None
    known = Declared(name or declared.name, declared.like)
    endpoint = _completed(address, path, problems, known)
    if endpoint is None:
        return None
    explicit_tls = "tls" in fields and fields.value("tls") is None
    return Endpoint(
        name=endpoint.name,
        host=endpoint.host,
        port=endpoint.port,
        database=endpoint.database,
        user=endpoint.user,
        credentials=credentials,
        zone=zone,
        weight=1 if weight is None else weight,
        tls=None if explicit_tls else endpoint.tls,
        pooling=endpoint.pooling,
        direct=direct,
    )


def _merged(fields: Fields) -> Address:
    """The address of a mapping: its `url`, and beside it only what the url is silent on."""
    given = Address()
    url = fields.text("url")
    if url is not None:
        given = _address(url, dotted(fields.path, "url"), fields.problems, url_only=True) or given
    host = fields.text("host")
    if host is not None:
        try:
            host = check_host(host)
        except InvalidUrl as error:
            fields.report("host", str(error))
    own = Address(
        host=host,
        port=fields.integer("port", range(1, 65536)),
        database=fields.text("database"),
        user=fields.text("user"),
        tls=fields.choice("tls", Tls),
        pooling=fields.choice("pooling", Pooling),
    )
    for part in ("host", "port", "database", "user", "tls", "pooling"):
        if getattr(own, part) is not None and getattr(given, part) is not None:
            fields.report(part, "is given by the url as well")
    return Address(
        host=own.host or given.host,
        port=own.port or given.port,
        database=own.database or given.database,
        user=own.user or given.user,
        tls=own.tls or given.tls,
        pooling=own.pooling or given.pooling,
        direct=given.direct,
    )


def _direct(fields: Fields, address: Address, database: str | None) -> Place | None:
    """The place beside the pooler, by the mapping or by its url."""
    text = fields.text("direct")
    if text is None:
        return address.direct
    if address.direct is not None:
        fields.report("direct", "is given by the url as well")
    try:
        return read_place(text, address.database or database)
    except InvalidUrl as error:
        fields.report("direct", str(error))
    return None


def _address(
    text: str, path: str, problems: list[Problem], *, url_only: bool = False
) -> Address | None:
    try:
        if not is_url(text) and not url_only:
            host, port = split_host_port(text)
            return Address(host=host, port=port)
        address, password = parse_url(text)
    except InvalidUrl as error:
        problems.append(Problem(path, str(error)))
        return None
    if password is not None:
        problems.append(Problem(path, f"the url holds a password; {_CREDENTIALS_HINT}"))
        return None
    return address


def _completed(
    address: Address, path: str, problems: list[Problem], declared: Declared
) -> Endpoint | None:
    missing = [
        part
        for part in ("host", "database", "user")
        if getattr(address, part) is None and (part == "host" or declared.like is None)
    ]
    problems.extend(Problem(dotted(path, part), "is missing") for part in missing)
    return None if missing else endpoint_at(address, declared, None)


def _credentials(fields: Fields, declared: Declared) -> str | None:
    """The reference; an explicit null means none, absence means the primary's."""
    if "credentials" not in fields:
        fields.value("credentials")
        return declared.like.credentials if declared.like is not None else None
    value = fields.value("credentials")
    if value is not None and not (isinstance(value, str) and is_reference(value)):
        fields.report("credentials", "must be env:NAME or file:/path; a map holds no passwords")
        return None
    return value if isinstance(value, str) else None
