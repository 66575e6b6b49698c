"""A Reply as the bytes of one HTTP/1 response."""

import re
import time
from http import HTTPStatus
from typing import Final

from server.exchange import Reply

_STATUS_LINES: Final = {
    (status.value, minor): f"HTTP/1.{minor} {status.value} {status.phrase}\r\n"
    for status in HTTPStatus
    for minor in (0, 1)
}

_FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What would end a header field, or begin another (RFC 9110, 5.5)."""

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
)  # fmt: skip


def encode(  # noqa: PLR0913 - what differs from one response to the next
    reply: Reply,
    *,
    minor: int,
    head: bool,
    keep_alive: bool,
    date: str,
    request_id: str,
    more_headers: str = "",
) -> tuple[bytes, bytes]:
    r"""The head and the body to send. `more_headers` is whole lines, each ending in `\r\n`.

    `minor` is the request's HTTP/1 minor version, which is answered in kind. Statuses that have
    no body (101, 204, 304) and answers to HEAD are sent without one, and without its length, because
    the length that a GET would have had is not always known. A body in pieces is sent in chunks,
    and to clients of HTTP/1.0 until the connection ends.

    Raises:
        ValueError: A header of the reply holds a control character.
    """
    status = reply.status
    body = reply.body
    line = _STATUS_LINES.get((status, minor)) or f"HTTP/1.{minor} {status} \r\n"
    if reply.reason:
        line = f"HTTP/1.{minor} {status} {reply.reason}\r\n"
    fields = [line]
    if reply.content_type is not None:
        fields.append(f"Content-Type: {reply.content_type}\r\n")
    if head or status in {101, 204, 304}:
        body = b""
    elif reply.pieces is None:
        fields.append(f"Content-Length: {len(body)}\r\n")
    elif minor:
        fields.append("Transfer-Encoding: chunked\r\n")
    for name, value in reply.headers:
        if not value.isprintable() and _FORBIDDEN.search(value):
            raise ValueError(f"the header {name} holds a control character")
        fields.append(f"{name}: {value}\r\n")
    if not keep_alive:
        fields.append("Connection: close\r\n")
    elif not minor:
        fields.append("Connection: keep-alive\r\n")
    fields.append(f"{more_headers}Date: {date}\r\nX-Request-ID: {request_id}\r\n\r\n")
    return "".join(fields).encode(), body


def http_date(seconds: float) -> str:
    """A point in time as HTTP writes it (RFC 9110, 5.6.7), whatever the locale."""
    moment = time.gmtime(seconds)
    return (
        f"{_DAYS[moment.tm_wday]}, {moment.tm_mday:02} {_MONTHS[moment.tm_mon - 1]} "
        f"{moment.tm_year:04} {moment.tm_hour:02}:{moment.tm_min:02}:{moment.tm_sec:02} GMT"
    )
