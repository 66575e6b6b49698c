"""Which failed reads run again, and where they do not."""

import pytest

from router import BackendSettings, PoolTimeout, ReadRetried, ShardDown, StatementFailed
from router.context import Deadline, QueryContext
from router.live.failures import BehindFloor, EndpointFull, EndpointLost, RecoveryConflict
from router.live.retries import Retries
from shardmap import ShardId

SHARD = ShardId("s0")
NAMES = ("s0-a", "s0-b", "s0-c")


class Group:
    """The endpoints of a shard, as far as repeating concerns them."""

    shard = SHARD

    def index(self, endpoint):
        return NAMES.index(endpoint) if endpoint in NAMES else None


class Reading:
    """Fails as it is told to, then answers; `without` is what each attempt had to do without."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.without = []

    async def once(self, excluded):
        self.without.append(tuple(NAMES[index] for index in excluded))
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


def context():
    return QueryContext(
        tenant="7", session="ada", role="authenticated", claims="{}", deadline=Deadline.after(60)
    )


async def again(reading, first, seen=None, **settings):
    retries = Retries(BackendSettings(**settings), (seen if seen is not None else []).append)
    return await retries.again(Group(), context(), reading.once, first)


@pytest.mark.parametrize(
    "failure",
    [
        EndpointFull(SHARD, "s0-b"),
        RecoveryConflict(SHARD, "s0-b", "replay"),
        BehindFloor(SHARD, "s0-b", "behind"),
    ],
    ids=["no room for a connection", "replay interrupted it", "shows less than it did"],
)
async def test_a_read_goes_to_another_endpoint_than_one_that_is_well_and_no_use(failure):
    reading, seen = Reading(), []

    assert await again(reading, failure, seen) == "answer"

    assert reading.without == [("s0-b",)]
    assert seen == [ReadRetried(SHARD, "s0-b", failure.code)]


async def test_an_endpoint_that_was_lost_need_not_be_excluded():
    reading = Reading()

    assert await again(reading, EndpointLost(SHARD, "s0-b", "gone")) == "answer"

    assert reading.without == [()]


async def test_when_no_endpoint_has_room_it_is_said_so():
    reading = Reading(*(EndpointFull(SHARD, name) for name in (*NAMES, *NAMES)))

    with pytest.raises(PoolTimeout, match="accepts no more connections"):
        await again(reading, EndpointFull(SHARD, "s0-a"), read_attempts=3)

    assert len(reading.without) == 2


async def test_what_the_statement_is_to_blame_for_is_not_repeated():
    reading = Reading(StatementFailed("22012", "division by zero"))

    with pytest.raises(StatementFailed):
        await again(reading, EndpointLost(SHARD, "s0-b", "gone"))

    assert len(reading.without) == 1


async def test_the_last_failure_is_told():
    reading = Reading(*(EndpointLost(SHARD, name, f"{name} gone") for name in (*NAMES, *NAMES)))

    with pytest.raises(ShardDown, match="gone"):
        await again(reading, EndpointLost(SHARD, "s0-b", "gone"))
