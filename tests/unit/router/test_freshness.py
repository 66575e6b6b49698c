"""Positions in cells, and floors that several processes share."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import Position, SharedFloors
from router.live.freshness import UNREACHABLE, cell_of, join, pack, unpack
from shardmap import ShardId

ROOT = Path(__file__).parents[3]
SHARD, OTHER = ShardId("shard_0"), ShardId("shard_1")

positions = st.builds(Position, st.integers(0, 2**12 - 2), st.integers(0, (2**52 - 2) * 8))


@given(positions)
def test_a_cell_is_never_before_its_position_and_at_most_seven_bytes_after(position):
    back = unpack(pack(position))

    assert back.timeline == position.timeline
    assert 0 <= back.lsn - position.lsn <= 7


@pytest.mark.parametrize(
    "position",
    [Position(2**12, 1), Position(1, 2**55 + 8), Position(-1, 1), Position(1, 2**64)],
)
def test_a_position_that_does_not_fit_is_one_that_nobody_reaches(position):
    assert pack(position) == UNREACHABLE


@given(positions, positions)
def test_the_join_is_before_neither_in_timeline_nor_in_lsn(one, other):
    joined = unpack(join(pack(one), pack(other)))

    assert joined.timeline == max(one.timeline, other.timeline)
    assert joined.lsn >= max(one.lsn, other.lsn)
    assert join(pack(one), pack(other)) == join(pack(other), pack(one))


def test_a_session_without_history_has_no_floor():
    with SharedFloors(None) as floors:
        assert floors.floor("somebody", SHARD) is None


def test_a_floor_only_rises():
    with SharedFloors(None) as floors:
        floors.raise_to("s", SHARD, Position(1, 800))
        floors.raise_to("s", SHARD, Position(1, 80))

        assert floors.floor("s", SHARD) == Position(1, 800)


def test_a_newer_timeline_does_not_forget_what_an_older_one_promised():
    with SharedFloors(None) as floors:
        floors.raise_to("s", SHARD, Position(1, 8000))
        floors.raise_to("s", SHARD, Position(2, 80))

        assert floors.floor("s", SHARD) == Position(2, 8000)


def test_shards_have_floors_of_their_own():
    with SharedFloors(None) as floors:
        floors.raise_to("s", SHARD, Position(1, 80))

        assert floors.floor("s", OTHER) is None


def test_sessions_that_share_a_cell_share_the_higher_floor():
    first = "session 0"
    second = next(f"s{n}" for n in range(10**6) if cell_of(f"s{n}") == cell_of(first))
    with SharedFloors(None) as floors:
        floors.raise_to(first, SHARD, Position(1, 80))
        floors.raise_to(second, SHARD, Position(1, 800))

        assert floors.floor(first, SHARD) == Position(1, 800)


def test_each_worker_sees_the_floors_of_all(tmp_path):
    with SharedFloors(tmp_path, 0, 2) as one, SharedFloors(tmp_path, 1, 2) as other:
        one.raise_to("s", SHARD, Position(1, 80))
        assert other.floor("s", SHARD) == Position(1, 80)

        other.raise_to("s", SHARD, Position(1, 800))
        assert one.floor("s", SHARD) == Position(1, 800)


WORKER = """
import sys
from pathlib import Path
from router import Position, SharedFloors
from shardmap import ShardId
directory, worker, workers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
with SharedFloors(directory, worker, workers) as floors:
    for step in range(1, 2001):
        floors.raise_to(f"session {step % 50}", ShardId("shard_0"),
                        Position(1, 8 * (step * workers + worker)))
"""


def test_processes_that_write_at_once_lose_no_floor(tmp_path):
    workers = 4
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path), str(number), str(workers)], cwd=ROOT
        )
        for number in range(workers)
    ]
    assert [process.wait() for process in processes] == [0] * workers

    highest = {
        cell_of(f"session {n}"): 8 * (max(s for s in range(1951, 2001) if s % 50 == n) * 4 + 3)
        for n in range(50)
    }
    with SharedFloors(tmp_path, 0, workers) as floors:
        for n in range(50):
            found = floors.floor(f"session {n}", SHARD)
            assert found is not None
            assert found.lsn >= highest[cell_of(f"session {n}")]


@pytest.mark.parametrize("name", ["../up", "a/b", "", "x" * 200, "é", "A", "a"])
def test_any_shard_name_makes_a_file_in_the_directory(tmp_path, name):
    with SharedFloors(tmp_path) as floors:
        floors.raise_to("s", ShardId(name), Position(1, 8))

    assert [path.parent for path in tmp_path.rglob("*.floors")] == [tmp_path]


def test_a_worker_outside_its_number_is_refused():
    with pytest.raises(ValueError, match="worker 2 of 2"):
        SharedFloors(None, worker=2, workers=2)
