"""A client of the API as anybody could write it, which remembers who answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import aiohttp


@dataclass(frozen=True, slots=True)
class Answer:
    """One response: what it holds, and the servers behind it."""

    status: int
    rows: Any
    total: int | None
    served: tuple[str, ...]
    """`shard/server (replica)` or `shard/server (primary)`, one for each shard that was asked."""

    @property
    def shards(self) -> tuple[str, ...]:
        """The shards that were asked."""
        return tuple(entry.split("/", 1)[0] for entry in self.served)

    @property
    def by_replica(self) -> bool:
        """Whether only replicas answered."""
        return bool(self.served) and all("(replica)" in entry for entry in self.served)

    def server(self) -> str:
        """The name of the one server that answered."""
        return self.served[0].split("/", 1)[1].split(" ", 1)[0] if self.served else "nobody"


class Client:
    """Speaks PostgREST's dialect to the API with one key."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(
        self,
        key: str,
        method: str,
        path: str,
        *,
        body: object = None,
        prefer: str = "",
    ) -> Answer:
        """One request. Never raises for a status."""
        headers: Mapping[str, str] = {
            "Authorization": f"Bearer {key}",
            **({"Prefer": prefer} if prefer else {}),
        }
        async with self._session.request(
            method, f"{self._url}/rest/v1/{path}", headers=headers, json=body
        ) as response:
            text = await response.read()
            rows = await response.json() if text else None
            served = response.headers.get("X-Served-By", "")
            return Answer(
                response.status,
                rows,
                _total(response.headers.get("Content-Range", "")),
                tuple(entry.strip() for entry in served.split(",") if entry.strip()),
            )

    async def health(self) -> tuple[int, Any]:
        """What `/health` says."""
        async with self._session.get(f"{self._url}/health") as response:
            return response.status, await response.json()


def _total(content_range: str) -> int | None:
    total = content_range.rpartition("/")[2]
    return int(total) if total.isdecimal() else None
