"""Keys of writes: where a key is at home, the SQL that finds and keeps it, what a record proves.

A key belongs to one shard. Its lock there is held by the transaction that does the write, from
before the record is looked up until the record is committed: who comes meanwhile is told so.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final, Protocol

from router.errors import WriteKeyInUse, WriteKeyOfOtherBody, WriteKeyOfOtherRequest
from router.write_key import WriteKey
from shardmap import ShardId, ShardMap, TenantId


class Row(Protocol):
    """A row of an answer, as the driver has it."""

    def __getitem__(self, index: int, /) -> Any:
        """The value of that column."""
        ...


LOCK: Final = "SELECT pg_catalog.pg_try_advisory_xact_lock($1)"
LOOK_UP: Final = """\
SELECT target, content, answer FROM fluxshard.write_key
WHERE key = $1 AND kept_at > pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $2)"""
KEEP: Final = """\
INSERT INTO fluxshard.write_key (key, tenant, target, content, answer) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (key) DO UPDATE SET target = excluded.target, content = excluded.content,
    answer = excluded.answer, kept_at = excluded.kept_at"""
"""We hold the lock: what is in the way has expired."""
MOST_FORGOTTEN: Final = 1000
FORGET: Final = f"""\
DELETE FROM fluxshard.write_key WHERE key IN (
    SELECT key FROM fluxshard.write_key
    WHERE kept_at <= pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $1)
    ORDER BY kept_at LIMIT {MOST_FORGOTTEN} FOR UPDATE SKIP LOCKED)
RETURNING 1"""  # noqa: S608 - a number of our own
MARK: Final = "SAVEPOINT fluxshard"
UNDO: Final = "ROLLBACK TO SAVEPOINT fluxshard"


def home_of(key: bytes, tenant: TenantId | None, shard_map: ShardMap) -> ShardId:
    """The shard that keeps the key: the tenant's, else one that only the key decides.

    The latter by rendezvous (Thaler and Ravishankar, 1998): a shard that joins takes over its
    share of the keys, and no other changes its place.
    """
    if tenant is not None:
        return shard_map.owner(tenant)
    return max(
        shard_map.shards,
        key=lambda shard: hashlib.blake2b(key + shard.encode(), digest_size=8).digest(),
    )


def lock_of(key: bytes) -> int:
    """The advisory lock of the key. Two keys that share one only refuse each other."""
    return int.from_bytes(key[:8], signed=True)


def check_alone(rows: Sequence[Row]) -> None:
    """Make sure that we have the lock.

    Raises:
        WriteKeyInUse: Somebody else has it.
    """
    if not rows[0][0]:
        raise WriteKeyInUse


def kept_answer(row: Row, key: WriteKey) -> bytes:
    """The answer that is kept under the key.

    Raises:
        WriteKeyOfOtherRequest: It was given to another request.
        WriteKeyOfOtherBody: The same with another body.
    """
    target, content, answer = (row[column] for column in range(3))
    if target != key.target:
        raise WriteKeyOfOtherRequest
    if content != key.content:
        raise WriteKeyOfOtherBody
    return bytes(answer)
