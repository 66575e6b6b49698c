"""A connection that became a WebSocket (RFC 6455): messages in and out, on aiohttp's frames."""

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Final

from aiohttp import web
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http import WS_KEY, WebSocketReader, WebSocketWriter
from aiohttp.http_websocket import WebSocketError, WSMsgType
from aiohttp.streams import EofStream

from server.errors import RequestMalformed
from server.exchange import SocketClosed

MAX_MESSAGE_BYTES: Final = 1024 * 1024
QUEUE_BYTES: Final = 64 * 1024
"""How much a client may send ahead; beyond, its connection is not read."""

VERSION: Final = "13"


def handshake(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The header fields of the answer that accepts the upgrade.

    Raises:
        RequestMalformed: The request asks for no WebSocket that we know.
    """
    if headers.get("Upgrade", "").strip().lower() != "websocket":
        raise RequestMalformed("This path is a WebSocket")
    if "upgrade" not in headers.get("Connection", "").lower():
        raise RequestMalformed("The header Connection does not say upgrade")
    if headers.get("Sec-WebSocket-Version", "").strip() != VERSION:
        raise RequestMalformed("The WebSocket must be of version 13")
    key = headers.get("Sec-WebSocket-Key", "").strip()
    try:
        nonce = base64.b64decode(key, validate=True)
    except binascii.Error as error:
        raise RequestMalformed("Sec-WebSocket-Key is no key") from error
    if len(nonce) != 16:
        raise RequestMalformed("Sec-WebSocket-Key is no key")
    accepted = base64.b64encode(hashlib.sha1(key.encode() + WS_KEY).digest())  # noqa: S324 - RFC 6455
    return (
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accepted.decode()),
    )


class WebSocket:
    """One end of the socket. Pings are answered; the client's close ends `receive`."""

    def __init__(self, protocol: web.RequestHandler, write_timeout_s: float) -> None:
        transport = protocol.transport
        if transport is None:
            raise SocketClosed
        self._write_timeout_s = write_timeout_s
        self._writer = WebSocketWriter(protocol, transport)
        loop = asyncio.get_running_loop()
        self._queue = WebSocketDataQueue(protocol, QUEUE_BYTES, loop=loop)
        self._reader = WebSocketReader(
            self._queue, MAX_MESSAGE_BYTES, compress=False, decode_text=True
        )
        self._closed = False
        self._going_away = False
        protocol.set_parser(self._reader)
        protocol.keep_alive(False)

    def go_away(self) -> None:
        """Take no more messages: the server is about to end."""
        self._going_away = True
        self._queue.feed_eof()

    async def receive(self, timeout_s: float) -> str:
        """The next message.

        Raises:
            SocketClosed: The client has left, or spoke nonsense.
            TimeoutError: There was none in time.
        """
        async with asyncio.timeout(timeout_s):
            while not self._closed:
                try:
                    message = await self._queue.read()
                except EofStream as error:
                    if self._going_away:
                        await self.close(1001, "the server is about to end")
                    self._closed = True
                    raise SocketClosed from error
                except WebSocketError as error:
                    await self.close(error.code, str(error))
                    raise SocketClosed from error
                match message.type:
                    case WSMsgType.TEXT:
                        return str(message.data)
                    case WSMsgType.PING:
                        await self._send(message.data, WSMsgType.PONG)
                    case WSMsgType.PONG:
                        pass
                    case WSMsgType.BINARY:
                        await self.close(1003, "messages are text")
                    case _:
                        await self.close(1000, "")
        raise SocketClosed

    async def send(self, text: str) -> None:
        """Send a message.

        Raises:
            SocketClosed: The client has left, or does not take it.
        """
        if self._closed:
            raise SocketClosed
        await self._send(text.encode(), WSMsgType.TEXT)

    async def close(self, code: int, reason: str) -> None:
        """Say good-bye, once."""
        if self._closed:
            return
        self._closed = True
        try:
            async with asyncio.timeout(self._write_timeout_s):
                await self._writer.close(code, reason.encode()[:120])
        except (ConnectionError, TimeoutError):
            pass  # it has left already

    async def _send(self, data: bytes, kind: WSMsgType) -> None:
        try:
            async with asyncio.timeout(self._write_timeout_s):
                await self._writer.send_frame(data, kind)
        except (ConnectionError, TimeoutError) as error:
            self._closed = True
            raise SocketClosed from error
