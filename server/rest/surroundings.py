"""What surrounds a request's transaction: settings that code of users reads, and how it ends.

They are sent where somebody may ask for them only: the schema knows whether there is such code.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Final

import orjson

from router import Environment, Schema
from server.exchange import Reply, Request
from server.rest.errors import FeatureMissing
from server.rest.postgrest.paths import PREFIX
from server.rest.prefer import HEADER, NONE, Preferences, preferences_of
from server.rest.template import quoted
from server.routes import Handler

_KEY: Final = "Idempotency-Key"
_CALLS: Final = f"{PREFIX}/rpc/"
_BOUNDED: Final = frozenset({"PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an operator has set of it."""

    before: str = ""
    """The call of the function that runs first, as SQL."""
    rolled_back: bool = False
    """Writes are rolled back, unless their callers say otherwise."""
    override: bool = False
    """Callers may say otherwise."""

    def around(self, handler: Handler, schema: Callable[[], Schema], *, postgrest: bool) -> Handler:
        """The handler, with the environment of each request that has one.

        It is no coroutine itself: requests that have none pay for no further one.
        """
        always = bool(self.before) or (postgrest and self.rolled_back)

        def handle(request: Request) -> Awaitable[Reply]:
            asked = postgrest and HEADER in request.headers
            if not (always or asked or schema().aware):  # nearly all requests
                return handler(request)
            environment = self.of(request, schema(), postgrest=postgrest)
            if environment is None:
                return handler(request)
            return handler(request._replace(environment=environment))

        return handle

    def of(self, request: Request, schema: Schema, *, postgrest: bool) -> Environment | None:
        """What surrounds the request's statements; None: nothing does.

        Raises:
            FeatureMissing: It is to be rolled back, and to be kept under its key.
        """
        prefer = NONE
        if postgrest and request.headers.get(HEADER) is not None:
            prefer = preferences_of(request.headers)
        timezone = prefer.timezone
        most = prefer.max_affected if prefer.strict and _bounded(request) else None
        rolled_back = postgrest and self._rolled_back(prefer)
        told = bool(self.before) or schema.aware
        if not (told or timezone or rolled_back or most is not None):
            return None
        if rolled_back and _KEY in request.headers:
            raise FeatureMissing("A transaction that is rolled back, with an Idempotency-Key")
        settings = _of_request(request) if told else ()
        if timezone is not None:
            settings = (*settings, ("timezone", timezone))
        return Environment(
            settings,
            self.before,
            always=bool(self.before) or timezone is not None,
            rolled_back=rolled_back,
            most_rows=most,
        )

    def _rolled_back(self, prefer: Preferences) -> bool:
        if self.override and prefer.tx is not None:
            return prefer.tx == "rollback"
        return self.rolled_back


def surroundings(pre_request: str, tx_end: str) -> Surroundings:
    """What the settings say: a function's name, and one of `commit-allow-override` and the like."""
    return Surroundings(
        f"SELECT {_function(pre_request)}()" if pre_request else "",
        rolled_back=tx_end.startswith("rollback"),
        override=tx_end.endswith("-allow-override"),
    )


def _function(name: str) -> str:
    """A name as it is configured, perhaps with its schema, perhaps quoted, as SQL."""
    parts = [""]
    inside = False
    for character in name:
        if character == '"':
            inside = not inside
        elif character == "." and not inside:
            parts.append("")
        else:
            parts[-1] += character
    return ".".join(map(quoted, parts))


def _bounded(request: Request) -> bool:
    return request.method in _BOUNDED or request.path.startswith(_CALLS)


def _of_request(request: Request) -> tuple[tuple[str, str], ...]:
    headers: dict[str, str] = {}
    cookies = ""
    for name, value in request.headers.items():
        folded = name.lower()
        if folded == "cookie":
            cookies = f"{cookies}; {value}" if cookies else value
        else:
            headers[folded] = _text(value)
    return (
        ("request.method", request.method),
        ("request.path", _text(request.path.removeprefix(PREFIX) or "/")),
        ("request.headers", orjson.dumps(headers).decode()),
        ("request.cookies", orjson.dumps(_cookies(cookies)).decode()),
    )


def _cookies(header: str) -> Mapping[str, str]:
    """The cookies of a request; one that is not well formed hides none of the others."""
    found: dict[str, str] = {}
    for part in header.split(";"):
        name, equals, value = part.strip().partition("=")
        if equals and name:
            found[_text(name)] = _text(_unquoted(value))
    return found


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        parsed: SimpleCookie = SimpleCookie(f"x={value}")
    except CookieError:
        return value
    return parsed["x"].value if "x" in parsed else value


def _text(value: str) -> str:
    """Text that PostgreSQL can hold: bytes that are no UTF-8 are replaced."""
    if value.isascii():
        return value
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
