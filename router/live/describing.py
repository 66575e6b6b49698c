"""Asks an endpoint what a statement takes and gives, without running it."""

from typing import Final

from tenacity import AsyncRetrying, retry_if_exception_type, wait_random

from router.backends import Access
from router.context import QueryContext
from router.description import Description, description
from router.errors import DeadlineExceeded, StatementFailed
from router.live.failures import DRIVER_ERRORS, TryAgain
from router.live.faults import Faults
from router.live.preamble import LOGIN
from router.live.retries import LONGEST_RETRY_PAUSE_S, stop_after
from router.live.shards import ShardEndpoints

ATTEMPTS: Final = 3


class Descriptions:
    """Describes statements, on any endpoint for reads, on the primary for writes.

    Sessions of the service role are asked, whoever the caller is: describing meets row level
    security, and gives no rows.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    async def of(
        self, group: ShardEndpoints, sql: str, access: Access, context: QueryContext
    ) -> Description:
        """What the statement takes and gives.

        Raises:
            StatementFailed: PostgreSQL does not understand it.
            ShardUnavailable: Nobody can be asked.
            DeadlineExceeded: The request's time ran out.
        """

        async def once() -> Description:
            return await self._once(group, sql, access, context)

        return await AsyncRetrying(
            retry=retry_if_exception_type(TryAgain),
            stop=stop_after(ATTEMPTS, context),
            wait=wait_random(0, LONGEST_RETRY_PAUSE_S),
            reraise=True,
        )(once)

    async def _once(
        self, group: ShardEndpoints, sql: str, access: Access, context: QueryContext
    ) -> Description:
        left_s = context.deadline.remaining_s()
        if left_s <= 0:
            raise DeadlineExceeded("the request's time ran out")
        live = group.primary() if access is Access.WRITE else group.reader_at_once(None)
        if live is None:
            live = await group.reader(None, context.deadline)
        asking = context._replace(role=LOGIN)
        held = live.pool.take(LOGIN) or await self._faults.acquired(live, asking)
        put_back = live.pool.discard
        try:
            prepared = await held.describe(sql, left_s)
            put_back = live.pool.give_back
            columns = [(each.name, each.type) for each in prepared.get_attributes()]
            return description(prepared.get_parameters(), columns)
        except DRIVER_ERRORS as error:
            failure = self._faults.noted(error, group.shard, live, held, asking, read=True)
            if isinstance(failure, StatementFailed):
                put_back = live.pool.give_back
            raise failure from error
        except StatementFailed:  # before anything was sent
            put_back = live.pool.give_back
            raise
        finally:
            put_back(held)
