"""Which path and query a request line names."""

import re
from typing import Final

from server.errors import Dialect, RequestMalformed

_ABSOLUTE: Final = re.compile(r"https?://[^/?#]*", re.IGNORECASE)

POSTGREST_PREFIX: Final = "/rest/v1"


def target(text: str) -> tuple[str, str]:
    """The raw path and query of a request target in origin form or absolute form.

    `*` (the server as a whole) is a path of its own.

    Raises:
        RequestMalformed: Neither form.
    """
    if not text.startswith("/") and text != "*":
        match = _ABSOLUTE.match(text)
        if match is None:
            raise RequestMalformed("The request target is neither a path nor a url")
        text = text[match.end() :]
        if not text.startswith("/"):
            text = f"/{text}"
    path, _, query = text.partition("?")
    return path, query


def dialect_of(path: str) -> Dialect:
    """The dialect of a path that has no route."""
    below = path.startswith(POSTGREST_PREFIX + "/") or path == POSTGREST_PREFIX
    return Dialect.POSTGREST if below else Dialect.NATIVE
