"""Servers for tests.

serving
    A front on a Unix socket, and a client that sees every byte.
served
    Whole servers, as processes: `await served(environ, "--workers", "2")`; an `environ` that is
    called with the ports of the API and of operators gives all there is. Ask for it after the
    databases, so that its servers end before those are dropped.
"""

import asyncio
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from server.auth import Authenticator, mint
from server.front import Front
from server.front.turnstile import Turnstile
from server.lifecycle import Lifecycle
from server.middleware.cors import Cors
from server.middleware.entry import Doorkeeper
from server.routes import Routes
from server.settings import AuthSettings, CorsSettings, HttpSettings
from shardmap import KeyType

SECRET = "a secret that only tests use, honest"
WAIT_S = 60


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
    turnstile: Turnstile | None = None

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
        site.turnstile = Turnstile(0.5, site.facts.append)
        auth = replace(auth or AuthSettings(), jwt_secret=SECRET)
        front = Front(
            Routes(routes),
            Doorkeeper(Authenticator(auth, lambda: KeyType.INTEGER), anonymous=auth.anonymous),
            Cors(cors or CorsSettings()),
            settings=http or HttpSettings(),
            lifecycle=site.lifecycle,
            observe=site.facts.append,
            turnstile=site.turnstile,
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


PORTS = range(21000, 30000)


def _target(link):
    """Where a link of a process's open files leads; nowhere if it was closed meanwhile."""
    try:
        return link.readlink()
    except FileNotFoundError:
        return Path()


def free_port(taken=set()):  # noqa: B006 - remembers what it gave away
    """A port below the ephemeral ones that nobody listens on."""
    for port in PORTS:
        if port in taken:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        taken.add(port)
        return port
    raise AssertionError("no port is free")


@dataclass
class Served:
    """A server process."""

    process: asyncio.subprocess.Process
    port: int
    metrics_port: int
    log_file: object
    ready_port: int | None = None
    """Where /ready is, when not on the API port."""

    @property
    def log(self):
        return self.log_file.read_text(errors="replace")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def workers(self):
        """Process ids of the workers."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(child) for child in listed.read_text().split()]

    @property
    def run_directory(self):
        """What its workers share: the directory whose lock the process holds."""
        links = Path(f"/proc/{self.process.pid}/fd").iterdir()
        (lock,) = (target for target in map(_target, links) if "fluxshard-run-" in str(target))
        return lock.parent

    @staticmethod
    def bearer(**claims):
        return {"Authorization": f"Bearer {mint(claims, SECRET)}"}

    async def get(self, path, *, port=None, **options):
        """One request on a connection of its own."""
        async with httpx.AsyncClient(timeout=WAIT_S, verify=False) as client:
            return await client.get(f"http://127.0.0.1:{port or self.port}{path}", **options)

    async def ready(self):
        """Wait until it serves."""
        await eventually(self._is_ready, lambda: self.log)

    async def _is_ready(self):
        assert self.process.returncode is None, self.log
        try:
            return (await self.get("/ready", port=self.ready_port)).status_code == 200
        except httpx.TransportError:
            return False

    async def ended(self):
        """Its exit status."""
        async with asyncio.timeout(60):
            return await self.process.wait()

    def signal(self, number):
        self.process.send_signal(number)


async def eventually(condition, explanation=str):
    """Wait until the condition, a coroutine function, holds."""
    try:
        async with asyncio.timeout(60):
            while True:
                if await condition():
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"it never came true: {explanation()}") from None


@pytest_asyncio.fixture
async def served(tmp_path):
    """Start servers; see the module's docstring. `wait=False` does not wait until it serves."""
    started = []

    async def start(environ, *options, wait=True):
        port, metrics_port = free_port(), free_port()
        log_file = tmp_path / f"server-{len(started)}.log"
        with log_file.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "server",
                "serve",
                *options,
                env={"PATH": os.environ["PATH"], **environ(port, metrics_port)}
                if callable(environ)
                else {
                    "PATH": os.environ["PATH"],
                    "FLUXBASE_AUTH_JWT_SECRET": SECRET,
                    "FLUXBASE_SERVER_ADDRESS": f"127.0.0.1:{port}",
                    "FLUXBASE_METRICS_PORT": str(metrics_port),
                    "FLUXSHARD_STATE_DIR": str(tmp_path / "state"),
                    "FLUXSHARD_DRAIN_DELAY": "0",
                    **environ,
                },
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        server = Served(process, port, metrics_port, log_file)
        if callable(environ):
            server.ready_port = metrics_port
        started.append(server)
        if wait:
            await server.ready()
        return server

    yield start
    for server in started:
        if server.process.returncode is None:
            server.signal(signal.SIGKILL)
        await server.process.wait()
