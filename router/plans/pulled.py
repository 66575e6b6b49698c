"""What shards sent for a pull-up, as arguments of the statement that computes the answer."""

from collections.abc import Sequence

from router.backends import ShardReply
from router.errors import PullUpTooLarge, SchemasDiffer
from router.plans.plan import PullUp
from shardmap import ShardId


def arrays_of(
    pull_up: PullUp, shards: Sequence[ShardId], replies: Sequence[ShardReply]
) -> list[str]:
    """The texts of the arrays of all shards, joined; in the order of tables and their arrays.

    Each reply is one row: the shape of the tables, whether it is the one that was planned for,
    then of each table its number of rows, their bytes, and its arrays (`{…}`; NULL for no row).

    Raises:
        PullUpTooLarge: There are more rows or bytes than allowed.
        SchemasDiffer: Two shards would not read the same from one text.
    """
    rows = [tuple(reply.rows[0]) for reply in replies]
    for shard, row in zip(shards, rows, strict=True):
        if row[0] != rows[0][0]:
            raise SchemasDiffer(
                shard, f"the tables of {shard} are not those of {shards[0]}: {row[0]}"
            )
        if not row[1]:
            raise SchemasDiffer(shard, f"the tables of {shard} are not as they were read")
    arrays: list[str] = []
    found_rows = found_bytes = 0
    at = 2
    for table in pull_up.tables:
        found_rows += sum(_number(row[at]) for row in rows)
        found_bytes += sum(_number(row[at + 1]) for row in rows)
        if found_rows > pull_up.most_rows:
            raise PullUpTooLarge(f"the statement needs more than {pull_up.most_rows} rows")
        if found_bytes > pull_up.most_bytes:
            raise PullUpTooLarge(f"the statement needs more than {pull_up.most_bytes} bytes")
        first = at + 2
        at = first + table.arrays
        arrays.extend(_joined([row[column] for row in rows]) for column in range(first, at))
    return arrays


def _joined(texts: Sequence[object]) -> str:
    """One array of the elements of several: `{a,b}` and `{c}` make `{a,b,c}`."""
    return "{" + ",".join([text[1:-1] for text in texts if isinstance(text, str)]) + "}"


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"a count is an integer, not {type(value).__name__}")
    return value
