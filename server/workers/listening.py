"""Sockets that wait for clients, bound before there are workers."""

import errno
import socket
from dataclasses import dataclass
from typing import Final

from server.configuration.forms import ListenAddress
from server.errors import CannotListen
from server.settings import Settings

BACKLOG: Final = 1024
"""Connections that wait to be accepted; the kernel has a limit of its own (somaxconn)."""

_NO_IPV6: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


@dataclass(frozen=True, slots=True)
class Sockets:
    """One API socket for each worker, and one that all of them take from, for operators.

    `metrics` is where the metrics have a port of their own, or where the admin port is.
    """

    api: tuple[socket.socket, ...]
    metrics: socket.socket | None


def open_sockets(settings: Settings) -> Sockets:
    """All sockets of a server.

    Raises:
        CannotListen: An address is taken, not ours, or not allowed.
    """
    api = listen(settings.http.address, settings.process.workers)
    own, name = settings.postgrest.admin_address, "FLUXSHARD_ADMIN_ADDRESS"
    if own is None:
        if not (settings.metrics.enabled and settings.metrics.port):
            return Sockets(tuple(api), None)
        own = ListenAddress(settings.http.address.host, settings.metrics.port)
        name = "the port for metrics, FLUXBASE_METRICS_PORT"
    try:
        return Sockets(tuple(api), listen(own, 1)[0])
    except CannotListen as error:
        for bound in api:
            bound.close()
        raise CannotListen(f"{error} ({name})") from error


def listen(address: ListenAddress, count: int) -> list[socket.socket]:
    """As many sockets as there are workers, all at one address; the kernel spreads clients.

    The supervisor keeps all of them open, so a client that was given to a worker that crashed
    waits for the next one instead of being refused. Port 0 is one free port for all.

    Raises:
        CannotListen: The address is taken, not ours, or not allowed.
    """
    sockets: list[socket.socket] = []
    try:
        for _ in range(count):
            bound = _bound(address, shared=count > 1)
            sockets.append(bound)
            address = ListenAddress(address.host, bound.getsockname()[1])
            bound.listen(BACKLOG)
    except OSError as error:
        for bound in sockets:
            bound.close()
        raise CannotListen(f"cannot listen on {address}: {error.strerror}") from error
    return sockets


def shown(listening: socket.socket) -> str:
    """The address of a socket for people."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _bound(address: ListenAddress, *, shared: bool) -> socket.socket:
    if address.host:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, where = found[0]
        return _opened(family, where, shared=shared)
    try:
        return _opened(socket.AF_INET6, ("::", address.port), shared=shared)
    except OSError as error:
        if error.errno not in _NO_IPV6:
            raise
        return _opened(socket.AF_INET, ("", address.port), shared=shared)


def _opened(family: int, where: tuple[object, ...], *, shared: bool) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            only = where[0] != "::"
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        opened.setblocking(False)
        opened.bind(where)
    except BaseException:
        opened.close()
        raise
    return opened
