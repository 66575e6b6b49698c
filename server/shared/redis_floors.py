"""Floors in Redis, or any server that speaks its protocol and knows Lua."""

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from server.shared.store import Kept, StoreAway

_DIGITS: Final = 16
"""A cell in hexadecimal: 3 digits of timeline, 13 of position. So texts compare as numbers do,
which Lua's own numbers of 53 bits do not."""

EXCHANGE: Final = """
local memory = redis.call('GET', KEYS[1])
if not memory then
    memory = ARGV[1]
    redis.call('SET', KEYS[1], memory)
end
local raised = tonumber(ARGV[3])
for i = 1, raised do
    local key, cell = KEYS[1 + i], ARGV[3 + i]
    local old = redis.call('GET', key)
    if old then
        local timeline, position = string.sub(cell, 1, 3), string.sub(cell, 4)
        if string.sub(old, 1, 3) > timeline then timeline = string.sub(old, 1, 3) end
        if string.sub(old, 4) > position then position = string.sub(old, 4) end
        cell = timeline .. position
    end
    if cell ~= old then redis.call('SET', key, cell, 'PX', ARGV[2]) end
end
local found = {memory}
for i = raised + 2, #KEYS do
    found[#found + 1] = redis.call('GET', KEYS[i]) or ''
end
return found
"""


class RedisFloors:
    """One connection, one script, one round trip for all that came together."""

    def __init__(self, url: str, prefix: str, *, timeout_s: float, retention_s: float) -> None:
        self._client: Redis = Redis.from_url(
            url,
            # A connection that broke means that the server may have forgotten: that must be seen.
            retry=Retry(NoBackoff(), 0),
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            max_connections=2,
        )
        self._script = self._client.register_script(EXCHANGE)
        self._prefix = f"{prefix}:floor:".encode()
        self._memory = f"{prefix}:memory".encode()
        self._retention_ms = round(retention_s * 1000)

    async def exchange(self, wanted: Sequence[bytes], raised: Mapping[bytes, int]) -> Kept:
        """See `FloorStore`."""
        names = [self._prefix + name for name in (*raised, *wanted)]
        cells = [f"{cell:0{_DIGITS}x}" for cell in raised.values()]
        args: list[Any] = [secrets.token_hex(8), self._retention_ms, len(raised), *cells]
        try:
            memory, *found = await self._script(keys=[self._memory, *names], args=args)
            return Kept(memory.decode(), [int(cell, 16) if cell else 0 for cell in found])
        except (RedisError, OSError, ValueError) as error:  # TimeoutError is an OSError
            await self.close()
            raise StoreAway(f"Redis: {str(error) or type(error).__name__}") from error

    async def tidy(self) -> None:
        """Nothing: keys expire by themselves."""

    async def close(self) -> None:
        """See `FloorStore`."""
        with suppress(RedisError, OSError):
            await self._client.aclose()
