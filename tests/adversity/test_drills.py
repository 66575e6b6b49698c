"""Each failover drill of the harness, at a small rate: what was answered, not how fast."""

from dataclasses import replace

import pytest
import pytest_asyncio

from bench.drills.crowd import Habits
from bench.drills.drill import Phases, open_scene, run_drill, scene_spec
from bench.drills.events import DRILLS
from bench.drills.history import Fate, Kind
from shardmap import Durability

SHORT = Phases(
    rate=60.0,
    warm_s=0.1,
    normal_s=0.4,
    broken_s=2.0,
    mended_s=0.1,
    enough=6,
    habits=Habits(write_share=0.3),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene():
    async with open_scene(scene_spec(workers=2)) as opened:
        yield opened


@pytest.mark.parametrize("name", DRILLS)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_drill_breaks_no_promise(scene, name):
    judgement, _ = await run_drill(scene, DRILLS[name], SHORT)

    assert judgement.broken == ()
    assert judgement.outcomes[Kind.READ].keys() == {"ok"}
    assert judgement.audit.fates[Fate.ACKNOWLEDGED] > 0
    assert judgement.audit.lost == judgement.audit.twice == ()


@pytest.mark.asyncio(loop_scope="module")
async def test_writes_of_unknown_outcome_are_repeated_under_their_key_and_applied_once(scene):
    phases = replace(SHORT, habits=replace(SHORT.habits, repeat_unknown=True))

    judgement, _ = await run_drill(scene, DRILLS["all-replicas-gone"], phases)

    assert judgement.broken == ()
    assert judgement.audit.fates[Fate.ACKNOWLEDGED] > 0
    assert judgement.audit.twice == ()


async def test_what_an_asynchronous_shard_loses_is_counted_and_promised_by_nobody():
    async with open_scene(scene_spec(durability=Durability.ASYNC)) as scene:
        judgement, _ = await run_drill(scene, DRILLS["two-primaries"], SHORT)

    assert judgement.broken == ()
    assert judgement.as_json()["acknowledged_and_lost"] == len(judgement.audit.lost)
    assert judgement.as_json()["durability"] == "async"
