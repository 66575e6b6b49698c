"""A replica as a list of settings names it: `host:port` or a url, and `?zone=…&weight=…` behind it."""

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from shardmap.address import Address, is_url, parse_url, split_host_port
from shardmap.endpoints import MAX_WEIGHT
from shardmap.errors import InvalidUrl

_ZONE: Final = "zone"
_WEIGHT: Final = "weight"


@dataclass(frozen=True, slots=True)
class Listed:
    """What such a text says; None where it is silent."""

    address: Address
    password: str | None = field(repr=False)
    zone: str | None
    weight: int | None


def read_listed(text: str) -> Listed:
    """The replica that the text names.

    Raises:
        InvalidUrl: It is no address, or zone or weight is none.
    """
    place, _, query = text.partition("?")
    own: dict[str, str] = {}
    others = []
    for pair in query.split("&") if query else ():
        name, equals, value = pair.partition("=")
        if name not in {_ZONE, _WEIGHT}:
            others.append(pair)
        elif not equals or not value or name in own:
            raise InvalidUrl(f"{name} is given once, as {name}=…")
        else:
            own[name] = unquote(value)
    rest = "?".join((place, "&".join(others))) if others else place
    if is_url(rest):
        address, password = parse_url(rest)
    elif others:
        raise InvalidUrl(f"behind host:port there may be {_ZONE}=… and {_WEIGHT}=…")
    else:
        host, port = split_host_port(rest)
        address, password = Address(host=host, port=port), None
    return Listed(address, password, own.get(_ZONE), _weight(own.get(_WEIGHT)))


def _weight(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,3}", text, re.ASCII) or int(text) > MAX_WEIGHT:
        raise InvalidUrl(f"the weight is a number from 0 to {MAX_WEIGHT}")
    return int(text)
