"""The header `Fluxshard-Position`: what a client has seen of each shard, to be sent back by it.

A token says the same as the floors that are kept for the client's session, so whoever sends it
needs nobody to remember them. It is signed, not secret: a version, the epoch of the shard map, and
for each shard its number, timeline and position; then a MAC of 8 bytes. A token can only make
reads fresher, and only its sender's own; the signature keeps positions that never were from making
alarms. It is bound to the cluster, not to a session: who hands theirs to somebody else lets them
read what they wrote.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple

from router import NOTHING_SEEN, Deadline, Position, Reached
from server.errors import PositionInvalid
from shardmap import CATALOG, ShardId, ShardMap

HEADER: Final = "Fluxshard-Position"
VERSION: Final = 1
MAC_BYTES: Final = 8
"""Guessing one takes 2**63 requests, and wins reads from the primary."""
MAX_SHARDS: Final = 64
"""A token of so many shards has some 900 characters; of more, those read or written last count."""
MAX_CHARS: Final = 1400
REMEMBERED: Final = 1024
"""Tokens kept: while nothing is written, all readers of a shard get the same one."""
_MAX_NUMBER: Final = 1 << 64

CatchUp = Callable[[int, Deadline], Awaitable[None]]
"""Waits until a shard map of at least that epoch is in use, or raises MapOutdated."""


class Seen(NamedTuple):
    """What a token says."""

    epoch: int
    positions: Mapping[ShardId, Position]


NOTHING: Final = Seen(0, NOTHING_SEEN)


class Positions:
    """Writes and reads tokens. `shard_map` is asked each time: it knows the numbers of shards."""

    def __init__(self, secret: str, shard_map: Callable[[], ShardMap], catch_up: CatchUp) -> None:
        self._shard_map = shard_map
        self._catch_up = catch_up
        self._key = hashlib.blake2b(
            shard_map().cluster_id.encode(),
            key=hashlib.sha256(secret.encode()).digest(),
            person=b"position token",
        ).digest()
        self._numbered: tuple[ShardMap | None, Mapping[int, ShardId]] = (None, {})
        self._tokens: dict[tuple[int, tuple[tuple[ShardId, Position], ...]], str] = {}

    async def heeded(self, token: str, deadline: Deadline) -> Mapping[ShardId, Position]:
        """What the caller has seen, once a map is in use that is as new as theirs.

        Raises:
            PositionInvalid: The text is no token of ours.
            MapOutdated: The caller was answered by a newer map, which cannot be had here.
        """
        seen = self.read(token)
        if seen.epoch > self._shard_map().epoch:
            await self._catch_up(seen.epoch, deadline)
            seen = self.read(token)  # with the numbers of that map
        return seen.positions

    def read(self, token: str) -> Seen:
        """What the token says. Shards that have left the map are left out.

        Raises:
            PositionInvalid: It is no token of ours.
        """
        if len(token) > MAX_CHARS or not token.isascii():
            raise PositionInvalid
        try:
            padded = f"{token}{'=' * (-len(token) % 4)}"
            signed = base64.b64decode(padded, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise PositionInvalid from error
        content, mac = signed[:-MAC_BYTES], signed[-MAC_BYTES:]
        if not content or not hmac.compare_digest(mac, self._mac(content)):
            raise PositionInvalid
        return self._said(content)

    def write(self, seen: Mapping[ShardId, Position], reached: Reached) -> str:
        """The token of somebody who had seen this, and then reached that."""
        shard_map = self._shard_map()
        key = (shard_map.epoch, tuple(reached))
        if not seen:
            known = self._tokens.get(key)
            if known is not None:
                return known
        token = self._made(shard_map, seen, reached)
        if not seen:
            if len(self._tokens) >= REMEMBERED:
                self._tokens.clear()
            self._tokens[key] = token
        return token

    def _made(self, shard_map: ShardMap, seen: Mapping[ShardId, Position], reached: Reached) -> str:
        latest: dict[ShardId, Position] = dict(seen)
        for shard, position in reached:
            before = latest.pop(shard, None)  # so that those reached stand last
            latest[shard] = position if before is None else _higher(before, position)
        content = bytearray((VERSION,))
        _append(content, (shard_map.epoch,))
        for shard, position in list(latest.items())[-MAX_SHARDS:]:
            if shard == CATALOG or shard in shard_map.numbers:
                units = (position.lsn + 7) >> 3
                _append(content, (shard_map.number(shard), position.timeline, units))
        signed = bytes(content) + self._mac(content)
        return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()

    def _said(self, content: bytes) -> Seen:
        if content[0] != VERSION:
            raise PositionInvalid
        numbers = _numbers(content[1:])
        if len(numbers) % 3 != 1:
            raise PositionInvalid
        shards = self._shards()
        positions = {
            shards[number]: Position(timeline, units << 3)
            for number, timeline, units in zip(
                numbers[1::3], numbers[2::3], numbers[3::3], strict=True
            )
            if number in shards
        }
        return Seen(numbers[0], positions)

    def _shards(self) -> Mapping[int, ShardId]:
        shard_map = self._shard_map()
        if self._numbered[0] is not shard_map:
            known = (*shard_map.shards, CATALOG)
            self._numbered = (shard_map, {shard_map.number(shard): shard for shard in known})
        return self._numbered[1]

    def _mac(self, content: bytes | bytearray) -> bytes:
        return hashlib.blake2b(content, digest_size=MAC_BYTES, key=self._key).digest()


def _higher(left: Position, right: Position) -> Position:
    return Position(max(left.timeline, right.timeline), max(left.lsn, right.lsn))


def _append(content: bytearray, numbers: Sequence[int]) -> None:
    """Add numbers in base 128, the lowest digits first (LEB128)."""
    for number in numbers:
        rest = number
        while rest > 0x7F:
            content.append(0x80 | (rest & 0x7F))
            rest >>= 7
        content.append(rest)


def _numbers(content: bytes) -> list[int]:
    """The numbers in base 128.

    Raises:
        PositionInvalid: The last one has no end, or one is too large.
    """
    found, number, shift = [], 0, 0
    for byte in content:
        number |= (byte & 0x7F) << shift
        shift += 7
        if number >= _MAX_NUMBER or shift > 70:
            raise PositionInvalid
        if byte < 0x80:
            found.append(number)
            number = shift = 0
    if shift:
        raise PositionInvalid
    return found
