"""A front on a Unix socket, and a client that sees every byte: the fixture `serving`."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from server.auth import Authenticator, mint
from server.front import Front
from server.lifecycle import Lifecycle
from server.middleware.cors import Cors
from server.middleware.entry import Doorkeeper
from server.routes import Routes
from server.settings import AuthSettings, CorsSettings, HttpSettings
from shardmap import KeyType

SECRET = "a secret that only tests use, honest"
WAIT_S = 10


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes
    line: str


@dataclass
class Site:
    """A running front, with what it observed."""

    path: str
    lifecycle: Lifecycle
    facts: list = field(default_factory=list)
    connections: object = None

    async def deserted(self):
        """Wait until the server has no connection left."""
        await until(lambda: not self.connections.connections)

    @staticmethod
    def bearer(**claims):
        """The header line that says who asks."""
        return f"Authorization: Bearer {mint(claims, SECRET)}"

    @asynccontextmanager
    async def client(self):
        reader, writer = await asyncio.open_unix_connection(self.path)
        try:
            yield Client(reader, writer)
        finally:
            writer.close()

    async def ask(self, text, body=b""):
        async with self.client() as client:
            return await client.ask(text, body)

    async def seen(self, condition):
        """Wait until a fact fulfils the condition, and give the first that does."""
        await until(lambda: any(map(condition, self.facts)))
        return next(filter(condition, self.facts))


async def until(condition):
    """Wait until the condition holds."""
    async with asyncio.timeout(WAIT_S):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data):
        self.writer.write(data if isinstance(data, bytes) else data.encode())

    async def response(self, *, head=False):
        async with asyncio.timeout(WAIT_S):
            text = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            line, *fields = text.removesuffix("\r\n\r\n").split("\r\n")
            headers = {}
            for pair in fields:
                name, _, value = pair.partition(": ")
                assert name.lower() not in headers, f"{name} twice"
                headers[name.lower()] = value
            status = int(line.split(" ")[1])
            length = 0 if head or status in {100, 204, 304} else int(headers["content-length"])
            return Response(status, headers, await self.reader.readexactly(length), line)

    async def ask(self, text, body=b""):
        """One request, given as its lines; Host is added."""
        first, *lines = text.strip().split("\n")
        if body:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([f"{first} HTTP/1.1", "Host: x", *lines])
        self.send(f"{head}\r\n\r\n".encode() + body)
        return await self.response(head=first.startswith("HEAD"))

    async def ended(self):
        """Whether the server has closed the connection, with nothing more sent."""
        async with asyncio.timeout(WAIT_S):
            return await self.reader.read() == b""


@pytest.fixture
def serving(tmp_path):
    """Serve routes: `async with serving(routes, http=…, auth=…, cors=…) as site`."""

    @asynccontextmanager
    async def serve(routes, *, http=None, auth=None, cors=None):
        site = Site(str(tmp_path / "http.sock"), Lifecycle())
        auth = replace(auth or AuthSettings(), jwt_secret=SECRET)
        front = Front(
            Routes(routes),
            Doorkeeper(Authenticator(auth, lambda: KeyType.INTEGER), anonymous=auth.anonymous),
            Cors(cors or CorsSettings()),
            settings=http or HttpSettings(),
            lifecycle=site.lifecycle,
            observe=site.facts.append,
        )
        site.connections = connections = front.http_server()
        server = await asyncio.get_running_loop().create_unix_server(connections, site.path)
        try:
            yield site
        finally:
            server.close()
            await connections.shutdown(0.1)
            await server.wait_closed()

    return serve
