"""The route table: method and path to one route, with its variables decoded."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final
from urllib.parse import unquote

from server.errors import Dialect, MethodRefused, RequestMalformed, RouteUnknown
from server.exchange import Reply, Request

Handler = Callable[[Request], Awaitable[Reply]]

REMEMBERED_PATHS: Final = 4096
"""Paths whose route is remembered. They are forgotten together when there are more."""

REMEMBERED_PATH_CHARS: Final = 256
"""Longer paths are not remembered, so that memory stays within a megabyte or two."""


class Entry(Enum):
    """Who may come in without a credential."""

    OPEN = auto()
    """Everybody; no credential is looked at (health, metrics)."""
    KNOWN = auto()
    """Nobody."""
    KNOWN_BY_URL = auto()
    """Nobody; the token may be `?token=`, because browsers' WebSockets send no headers."""
    WELCOME = auto()
    """Everybody; who brings a credential is known by it, others are nobody."""
    ANONYMOUS = auto()
    """Everybody if `FLUXSHARD_ANONYMOUS` is on: then as role anon."""


class BodyKind(Enum):
    """Which of the body limits holds."""

    DEFAULT = auto()
    REST = auto()
    BULK = auto()
    ADMIN = auto()


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. `template` has `{name}` for a segment; it labels metrics."""

    method: str
    template: str
    handler: Handler
    dialect: Dialect = Dialect.NATIVE
    entry: Entry = Entry.KNOWN
    body: BodyKind = BodyKind.DEFAULT
    operation: str = "run the statement"
    """Completes "Failed to …", the native text of database errors without a code of their own."""
    summary: str = ""
    """What documents say of it; empty: what the handler says of itself."""


@dataclass(frozen=True, slots=True)
class Match:
    """A route, and the raw values of its variables by name."""

    route: Route
    params: Mapping[str, str]


@dataclass(slots=True)
class _Node:
    """One segment of the paths below a point: by its text, else by a variable."""

    literals: "dict[str, _Node]" = field(default_factory=dict)
    variable: "_Node | None" = None
    routes: dict[str, tuple[Route, tuple[str, ...]]] = field(default_factory=dict)
    """By method: the route and the names of the variables on the way to it."""


class Routes:
    """An immutable table of routes.

    Text wins over a variable in each segment, where the method fits. A trailing slash means
    nothing. HEAD is served by GET where it has no route of its own.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        self._remembered: dict[tuple[str, str], Match] = {}
        self.listed = tuple(routes)
        for route in self.listed:
            self._add(route)

    def match(self, method: str, path: str) -> Match:
        """The route of a raw (percent-encoded) path. O(segments), or O(1) for a path seen before.

        Raises:
            RouteUnknown: No route has this path.
            MethodRefused: Routes of this path have other methods.
            RequestMalformed: A variable is not percent-encoded UTF-8.
        """
        found = self._remembered.get((method, path))
        if found is not None:
            return found
        segments = _segments(path)
        nodes = list(_ends(self._root, segments, 0, ()))
        for node, values in nodes:
            entry = node.routes.get(method) or (
                node.routes.get("GET") if method == "HEAD" else None
            )
            if entry is not None:
                route, names = entry
                match = Match(route, dict(zip(names, map(_decoded, values), strict=True)))
                self._remember(method, path, match)
                return match
        if not nodes:
            raise RouteUnknown
        raise MethodRefused(method, self._allowed(node for node, _ in nodes))

    def allowed(self, path: str) -> tuple[str, ...]:
        """The methods of a path, for `Allow`.

        Raises:
            RouteUnknown: No route has this path.
        """
        nodes = [node for node, _ in _ends(self._root, _segments(path), 0, ())]
        if not nodes:
            raise RouteUnknown
        return self._allowed(nodes)

    def _remember(self, method: str, path: str, match: Match) -> None:
        if len(path) > REMEMBERED_PATH_CHARS:
            return
        if len(self._remembered) >= REMEMBERED_PATHS:
            self._remembered.clear()
        self._remembered[method, path] = match

    def _add(self, route: Route) -> None:
        node, names = self._root, []
        for segment in _segments(route.template):
            if segment.startswith("{") and segment.endswith("}"):
                names.append(segment[1:-1])
                node.variable = node.variable or _Node()
                node = node.variable
            else:
                node = node.literals.setdefault(segment, _Node())
        if route.method in node.routes:
            raise ValueError(f"{route.method} {route.template} is routed twice")
        node.routes[route.method] = (route, tuple(names))

    @staticmethod
    def _allowed(nodes: Iterable[_Node]) -> tuple[str, ...]:
        methods = {method for node in nodes for method in node.routes} | {"OPTIONS"}
        if "GET" in methods:
            methods.add("HEAD")
        return tuple(sorted(methods))


def _segments(path: str) -> list[str]:
    return path.removeprefix("/").removesuffix("/").split("/")


def _ends(
    node: _Node, segments: list[str], position: int, values: tuple[str, ...]
) -> "list[tuple[_Node, tuple[str, ...]]]":
    """The nodes with routes that the segments lead to, texts before variables."""
    if position == len(segments):
        return [(node, values)] if node.routes else []
    segment = segments[position]
    found = []
    literal = node.literals.get(segment)
    if literal is not None:
        found += _ends(literal, segments, position + 1, values)
    if node.variable is not None and segment:
        found += _ends(node.variable, segments, position + 1, (*values, segment))
    return found


def _decoded(segment: str) -> str:
    if "%" not in segment:
        return segment
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError as error:
        raise RequestMalformed("The path is not percent-encoded UTF-8") from error
