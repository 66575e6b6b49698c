"""What twins of the backends do with a write on several shards, once its transactions are open."""

import asyncpg

from router import RowCountUnexpected, ShardReply
from router.commit.copies import copied_rows
from router.commit.parts import named
from router.live.execution import Rows


async def run_parts(write, run):
    """The replies of the parts, `run(shard, query)` one after the other; the copies in between."""
    replies, copies, violations = [], None, []
    for part in write.parts:
        query = part.query if copies is None else part.query._replace(args=(copies,))
        try:
            reply = await run(part.shard, query)
        except asyncpg.IntegrityConstraintViolationError as error:
            if write.copied is not None:
                raise
            violations.append(error)
            continue
        replies.append(reply)
        if write.copied is not None and copies is None:
            kept, copies = copied_rows(Rows(reply.rows, reply.affected, reply.columns), query)
            replies = [ShardReply(*kept, reply.served)]
            if copies is None:
                break
    if violations:
        raise named(violations)
    if write.copied is not None:
        replies = replies[:1]
    found = sum(reply.affected for reply in replies)
    if write.exactly is not None and found != write.exactly:
        raise RowCountUnexpected(write.exactly, found)
    return replies
