"""Sessions that hop between workers read what they wrote and saw, however far replicas lag."""

import pytest
import pytest_asyncio

from bench.sessions.check import broken_promises, check, users_of
from bench.sessions.guarantees import Verdict
from bench.sessions.users import TABLES, fill
from bench.world import SERVED_BY, WorldSpec, open_world

READS = 1_200
LAG_S = 0.3


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world():
    spec = WorldSpec(replicas=2, workers=2, settings=SERVED_BY)
    async with open_world(spec, TABLES, fill) as opened:
        yield opened


async def checked_over(world, *, checked):
    async with users_of(world, 12, checked=checked, seed=1) as generator:
        return await check(world, generator, LAG_S, reads=READS, rounds=1)


@pytest.mark.asyncio(loop_scope="module")
async def test_no_read_is_older_than_what_its_session_wrote_or_saw(world):
    found = await checked_over(world, checked=True)

    assert broken_promises([found], checked=True) == []
    assert found.whole.tally.reads == READS
    assert found.whole.writes > 0
    assert found.whole.tally.verdicts[Verdict.STALE] == 0
