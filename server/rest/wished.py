"""What functions wish of the response: `response.status` and `response.headers`, put into effect."""

from collections.abc import Awaitable
from typing import Any, Final

import orjson

from router import Environment, Told
from server.exchange import Reply, Request
from server.rest.errors import RestError
from server.routes import Handler

_FRAMING: Final = frozenset(
    {"connection", "content-length", "date", "transfer-encoding", "x-request-id"}
)
"""Headers that say how the response travels, which is the server's to say."""
_BODILESS: Final = frozenset({204, 304})
_LEAST, _MOST = 200, 599


class ResponseHeadersInvalid(RestError):
    """A function has set `response.headers` to what are no headers. Its transaction is committed."""

    status = 500
    code = "RESPONSE_HEADERS_INVALID"
    postgrest_code = "PGRST111"

    def __init__(self, hint: str | None = None) -> None:
        super().__init__(
            "response.headers guc must be a JSON array composed of objects with a single key and a"
            " string value",
            hint=hint,
        )


class ResponseStatusInvalid(RestError):
    """A function has set `response.status` to what is no status. Its transaction is committed."""

    status = 500
    code = "RESPONSE_STATUS_INVALID"
    postgrest_code = "PGRST112"

    def __init__(self) -> None:
        super().__init__("response.status guc must be a valid status code")


def heeding(handler: Handler) -> Handler:
    """The handler, whose replies are what functions wished them to be.

    It is no coroutine itself: requests without an environment pay for no further one.
    """

    def handle(request: Request) -> Awaitable[Reply]:
        environment = request.environment
        if environment is None:
            return handler(request)
        return _heeded(handler, request, environment)

    return handle


async def _heeded(handler: Handler, request: Request, environment: Environment) -> Reply:
    environment.told.clear()
    reply = await handler(request)
    sent = False
    try:
        heeded = wished(reply, environment.response())
        sent = True
    finally:
        if not sent and reply.pieces is not None:
            await reply.pieces.close()
    return heeded


def wished(reply: Reply, told: Told) -> Reply:
    """The reply with the status and the headers that functions wished for.

    A header takes the place of those of its name that were there.

    Raises:
        ResponseHeadersInvalid: The headers are none.
        ResponseStatusInvalid: The status is none.
    """
    if told.headers is not None:
        wanted = _headers(told.headers)
        names = {name.lower() for name, _ in wanted}
        content_type = reply.content_type
        for name, value in wanted:
            if name.lower() == "content-type":
                content_type = value
        kept = (each for each in reply.headers if each[0].lower() not in names)
        others = (each for each in wanted if each[0].lower() != "content-type")
        reply = reply._replace(content_type=content_type, headers=(*kept, *others))
    if told.status is not None:
        status = _status(told.status)
        reply = reply._replace(status=status)
        if status in _BODILESS:
            reply = reply._replace(body=b"", content_type=None)
    return reply


def _status(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not _LEAST <= int(text[:9]) <= _MOST:
        raise ResponseStatusInvalid
    return int(text)


def _headers(text: str) -> list[tuple[str, str]]:
    try:
        found: Any = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ResponseHeadersInvalid from error
    if not isinstance(found, list):
        raise ResponseHeadersInvalid
    return [_header(each) for each in found]


def _header(each: object) -> tuple[str, str]:
    if not isinstance(each, dict) or len(each) != 1:
        raise ResponseHeadersInvalid
    ((name, value),) = each.items()
    if not isinstance(value, str):
        raise ResponseHeadersInvalid
    if not _is_token(name) or not value.isprintable():
        raise ResponseHeadersInvalid("A header's name or value holds characters that none has.")
    if name.lower() in _FRAMING:
        raise ResponseHeadersInvalid(f"The header {name} is the server's to set.")
    return name, value


def _is_token(name: str) -> bool:
    """Whether it is a field name (RFC 9110, 5.1)."""
    return bool(name) and all(
        character.isascii() and (character.isalnum() or character in "!#$%&'*+-.^_`|~")
        for character in name
    )
