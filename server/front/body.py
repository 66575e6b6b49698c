"""A request's body, whole and no larger than its route takes."""

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from server.errors import (
    BodyTimeout,
    BodyTooLarge,
    EncodingRefused,
    ExpectationRefused,
    RequestMalformed,
)
from server.front.connection import Incoming
from server.routes import BodyKind
from server.settings import HttpSettings

_ENCODINGS: Final = frozenset({"identity", "gzip", "x-gzip", "deflate"})
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


def limits(settings: HttpSettings) -> Mapping[BodyKind, int]:
    """Largest body in bytes by kind of route."""
    most = settings.body_limit_bytes
    if not settings.body_limits_enabled:
        return dict.fromkeys(BodyKind, most)
    return {
        BodyKind.DEFAULT: min(most, settings.default_limit_bytes),
        BodyKind.REST: min(most, settings.rest_limit_bytes),
        BodyKind.BULK: min(most, settings.bulk_limit_bytes),
        BodyKind.ADMIN: min(most, settings.admin_limit_bytes),
    }


async def read_body(request: Incoming, limit_bytes: int, timeout_s: float) -> bytes:
    """The body, decompressed.

    The limit counts decompressed bytes, and aiohttp decompresses no further ahead than some
    hundred KiB, so a small body that unpacks to gigabytes ends at the limit like any other.

    Raises:
        BodyTooLarge: It is over the limit, or says so.
        BodyTimeout: It did not arrive in time.
        EncodingRefused, ExpectationRefused, RequestMalformed: It cannot be read.
    """
    headers, payload = request.message.headers, request.payload
    _check(headers, limit_bytes)
    if not payload.is_eof() and request.message.version >= (1, 1) and "Expect" in headers:
        _send_continue(request)
    try:
        if payload.is_eof():
            body = payload.read_nowait()
        else:
            async with asyncio.timeout(timeout_s):
                body = await _read(request, limit_bytes)
    except TimeoutError as error:
        raise BodyTimeout from error
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise RequestMalformed("The request body cannot be read") from error
    if len(body) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
    return body


def _check(headers: Mapping[str, str], limit_bytes: int) -> None:
    encoding = headers.get("Content-Encoding")
    if encoding is not None and encoding.strip().lower() not in _ENCODINGS:
        raise EncodingRefused(encoding)
    if headers.get("Expect", "100-continue").strip().lower() != "100-continue":
        raise ExpectationRefused
    length = headers.get("Content-Length")
    if length is not None and int(length) > limit_bytes:
        raise BodyTooLarge(limit_bytes)


def _send_continue(request: Incoming) -> None:
    transport = request.protocol.transport
    if transport is not None and not transport.is_closing():
        transport.write(_CONTINUE)


async def _read(request: Incoming, limit_bytes: int) -> bytes:
    parts, size = [], 0
    while size <= limit_bytes and (part := await request.payload.readany()):
        parts.append(part)
        size += len(part)
    return b"".join(parts)
