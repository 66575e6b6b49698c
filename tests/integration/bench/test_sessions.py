"""Sessions that hop between workers read what they wrote and saw, however far replicas lag."""

import pytest
import pytest_asyncio

from bench.sessions.check import Plan, broken_promises, check_all
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


@pytest.mark.asyncio(loop_scope="module")
async def test_no_read_is_older_than_what_its_session_wrote_or_saw_and_the_control_finds_some(
    world,
):
    plan = Plan(delays_s=(LAG_S,), reads=READS, control_reads=READS, users=12, rounds=1)

    (found, control), _ = await check_all(world, plan)

    assert broken_promises([found, control]) == []
    assert found.whole.tally.reads == READS
    assert found.whole.writes > 0
    assert found.whole.tally.verdicts[Verdict.STALE] == 0
    assert control.whole.tally.verdicts[Verdict.STALE] > 0
    assert max(control.ages_ms()) > 0


async def test_users_who_send_back_what_they_saw_hop_between_instances_that_share_nothing():
    spec = WorldSpec(replicas=1, instances=2, settings=SERVED_BY)
    plan = Plan((LAG_S,), reads=READS // 2, control_reads=0, users=8, rounds=1, keeping=True)
    async with open_world(spec, TABLES, fill) as apart:
        (found,), _ = await check_all(apart, plan)

    assert broken_promises([found]) == []
