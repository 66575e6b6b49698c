"""Processes that are killed in the middle of a commit on two shards leave nothing half done."""

import importlib.util
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location(
    "two_phase_kills", Path(__file__).with_name("two_phase_kills.py")
)
two_phase_kills = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = two_phase_kills
_spec.loader.exec_module(two_phase_kills)


@pytest.mark.parametrize("step", two_phase_kills.STEPS)
async def test_a_coordinator_killed_at_any_step_leaves_all_or_nothing(databases, step):
    shard_map = two_phase_kills.map_of(databases.endpoints, f"c-{databases.name}")
    kills = two_phase_kills.Kills(shard_map, databases.url)
    await kills.prepare()

    found = await kills.round(step, 1, age_s=1.0)

    assert kills.wrong == []
    assert found.acknowledged > 0
    assert sum(found.recovered.values()) == found.left
    assert found.took_s <= two_phase_kills.RECOVERED_WITHIN_S
