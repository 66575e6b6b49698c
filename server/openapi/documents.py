"""Documents as bytes: built in a thread when somebody asks, and kept while nothing has changed."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from router import Deadline, DeadlineExceeded, Documentation, Schema

FRESH_S: Final = 5.0
"""How old privileges and comments may be. The tables themselves are never older than those in use."""

MAX_DOCUMENTS: Final = 16
"""A document of two thousand tables has some megabytes; roles and schemas are few."""


class Reader(Protocol):
    """Whoever knows what roles may see: `PostgresBackends`, or its twin in tests."""

    async def documentation(self, role: str, deadline: Deadline) -> Documentation:
        """What the role is told, read anew.

        Raises:
            RouterError: Nobody can be asked.
        """
        ...


Build = Callable[[Schema, Documentation], object]
"""What a document is, as JSON values; it is called in a thread."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document, and the tag that tells it from what it was before."""

    body: bytes
    etag: str


@dataclass(slots=True)
class _Notes:
    read_at: float
    documentation: Documentation


class Documents:
    """Keeps what was built for a role, until the schema or what the role is told changes.

    Everybody who asks meanwhile waits for one reading and one building.
    """

    def __init__(self, reader: Reader, schema: Callable[[], Schema]) -> None:
        self._reader = reader
        self._schema = schema
        self._notes: dict[str, _Notes] = {}
        self._built: dict[Hashable, tuple[str, Documentation, Document]] = {}
        self._turn = asyncio.Lock()

    @property
    def schema(self) -> Schema:
        """The schema as it is now."""
        return self._schema()

    async def document(
        self, kind: Hashable, role: str, deadline: Deadline, build: Build
    ) -> Document:
        """The document of that kind for the role. `build` depends on the kind only.

        Raises:
            RouterError: The tables are not known, or nobody can be asked about them.
        """
        try:
            async with asyncio.timeout(deadline.remaining_s()), self._turn:
                return await self._document(kind, role, deadline, build)
        except TimeoutError as error:
            raise DeadlineExceeded("the document was not made in time") from error

    async def _document(
        self, kind: Hashable, role: str, deadline: Deadline, build: Build
    ) -> Document:
        notes = await self._told(role, deadline)
        schema = self._schema()
        key = (kind, role)
        kept = self._built.get(key)
        if kept is not None and kept[0] == schema.version and kept[1] is notes:
            return kept[2]
        document = await asyncio.to_thread(_written, build, schema, notes)
        self._built.pop(key, None)
        _make_room(self._built)
        self._built[key] = (schema.version, notes, document)
        return document

    async def _told(self, role: str, deadline: Deadline) -> Documentation:
        kept = self._notes.get(role)
        if kept is not None and time.monotonic() - kept.read_at < FRESH_S:
            return kept.documentation
        found = await self._reader.documentation(role, deadline)
        if kept is not None and kept.documentation == found:
            found = kept.documentation  # what was built of it stays
        self._notes.pop(role, None)
        _make_room(self._notes)
        self._notes[role] = _Notes(time.monotonic(), found)
        return found


def _make_room(kept: dict[Any, Any]) -> None:
    while len(kept) >= MAX_DOCUMENTS:
        del kept[next(iter(kept))]


def _written(build: Build, schema: Schema, notes: Documentation) -> Document:
    body = orjson.dumps(build(schema, notes))
    return Document(body, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')
