"""The protocol of moves, in all interleavings: what it promises holds, and each of its rules is needed."""

from dataclasses import replace

import pytest

from tests.model.exploring import explore
from tests.model.moving import Bounds, Rules

SMALL = Bounds(writers=1, movers=2, leases=3, promotions=1, returns=False)


@pytest.mark.parametrize(
    "bounds",
    [
        pytest.param(SMALL, id="a late mover, a promotion"),
        pytest.param(
            replace(SMALL, returns=True, promotions=0), id="aborted, rolled back, cleaned"
        ),
        pytest.param(replace(SMALL, writers=2, promotions=0), id="two writers"),
    ],
)
def test_no_acknowledged_write_is_lost_and_every_move_can_end(bounds):
    found = explore(Rules(), bounds)

    assert found.broken is None, found.way
    assert not found.stuck, found.way
    assert found.worlds > 1000


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("enter", "acknowledged writes [0] are not at home on shard 1"),
        ("drain", "acknowledged writes [0] are not at home on shard 1"),
        ("confirm", "acknowledged writes [0] are not at home on shard 1"),
        ("lease", "acknowledged writes [0] are not at home on shard 1"),
        ("quorum", "both shards are open"),
    ],
)
def test_without_any_one_of_its_rules_the_lost_write_is_found(rule, broken):
    found = explore(Rules(**{rule: False}), SMALL)

    assert found.broken == broken
