"""Functions that make a representation themselves: those that give a domain named like a media type.

`CREATE DOMAIN "text/html" AS text` and a function that gives it answer `Accept: text/html` with the
value as it is. A domain named `*/*` answers any.
"""

import re
from typing import Final

import orjson

from router import Routine
from server.rest.postgrest.media import weighed

ANY: Final = "*/*"
UNNAMED: Final = "application/octet-stream"
"""The type of what a function of any type gives to a client of any type."""

_DOMAIN: Final = re.compile(r'"(?:[^"]|"")+"\."([^"/]+/[^"/]+)"')
_BYTES: Final = re.compile(r"\\x(?:[0-9a-f]{2})*")


def handled(routine: Routine, accept: str | None) -> str | None:
    """The media type that the function's value has for this client; None: it is a value as others."""
    made = _DOMAIN.fullmatch(routine.type)
    if made is None or routine.set_of or routine.columns:
        return None
    wanted = ANY if accept is None else next((name for name, _, _ in weighed(accept)), ANY)
    if made[1] == ANY:
        return UNNAMED if wanted == ANY else wanted
    return wanted if wanted == made[1] else None


def content(value: str, category: str) -> bytes:
    """The bytes of a value, which came as JSON: of text, bytea or JSON, as the domain is based on."""
    if not value.startswith('"'):
        return b"" if value == "null" else value.encode()
    text = str(orjson.loads(value))
    if category != "S" and _BYTES.fullmatch(text):
        return bytes.fromhex(text[2:])
    return text.encode()
