"""The fair queue: nobody starves, it has a bound, it never holds back what could be served."""

from collections import Counter, deque

from hypothesis import given
from hypothesis import strategies as st

from router.fair_queue import FairQueue

PARTIES = st.integers(0, 4)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), PARTIES),
        st.tuples(st.just("pop"), st.none()),
        st.tuples(st.just("remove"), PARTIES),
        st.tuples(st.just("drop"), st.none()),
    ),
    max_size=80,
)


def drained(queue):
    found = []
    while (item := queue.pop()) is not None:
        found.append(item)
    return found


def test_one_of_each_party_is_served_in_turn():
    queue = FairQueue(100)
    for number in range(5):
        queue.push("flood", ("flood", number))
    queue.push("small", ("small", 0))

    assert [party for party, _ in drained(queue)] == ["flood", "small", *["flood"] * 4]


def test_who_has_least_comes_first_and_of_equals_the_one_whose_turn_it_is():
    queue = FairQueue(100)
    for party in ("flood", "flood", "a", "b", "a"):
        queue.push(party, party)
    having = Counter(flood=3, b=1)

    found = []
    while (following := queue.pop_next(having)) is not None:
        found.append(following[0])
        having[following[0]] += 1

    assert found == ["a", "b", "a", "flood", "flood"]


def test_a_full_queue_pushes_out_the_newest_of_who_has_most():
    queue = FairQueue(3)
    assert [queue.push("flood", number) for number in range(3)] == [None, None, None]

    assert queue.push("flood", 3) == 3  # the flood itself finds no room
    assert queue.push("small", "a") == 2
    assert queue.push("small", "b") == "b"  # two and one: as many as the flood is too many

    assert drained(queue) == [0, "a", 1]


def test_a_queue_without_room_takes_nothing():
    queue = FairQueue(0)

    assert queue.push("a", 1) == 1
    assert queue.pop() is None


@given(STEPS, st.integers(0, 12))
def test_it_does_what_lines_and_turns_do(steps, most):  # noqa: C901 - the whole model
    queue, number = FairQueue(most), 0
    lines = {}

    def expect_gone(item):
        party = next(party for party, line in lines.items() if item in line)
        assert len(lines[party]) == max(map(len, lines.values()))
        assert lines[party].pop() == item
        if not lines[party]:
            del lines[party]

    for step, party in steps:
        count = sum(map(len, lines.values()))
        if step == "push":
            number += 1
            leaving = queue.push(party, number)
            if leaving == number:
                assert count == most
                longest = max(map(len, lines.values()), default=0)
                assert len(lines.get(party, ())) + 1 >= longest
                continue
            if leaving is not None:
                assert count == most
                expect_gone(leaving)
            lines.setdefault(party, deque()).append(number)
        elif step == "pop":
            item = queue.pop()
            assert (item is None) == (not lines)  # work conserving
            if item is not None:
                turn = next(iter(lines))
                line = lines.pop(turn)
                assert line.popleft() == item
                if line:
                    lines[turn] = line
        elif step == "drop":
            item = queue.drop_newest()
            assert (item is None) == (not lines)
            if item is not None:
                expect_gone(item)
        else:
            line = lines.get(party)
            wanted = line[len(line) // 2] if line else -1
            assert queue.remove(party, wanted) == (line is not None)
            if line:
                line.remove(wanted)
                if not line:
                    del lines[party]
        assert len(queue) == sum(map(len, lines.values())) <= most
        assert {party: queue.waiting(party) for party in lines} == {
            party: len(line) for party, line in lines.items()
        }


@given(st.lists(PARTIES, max_size=60), PARTIES)
def test_who_has_one_waiting_is_served_after_at_most_one_of_each_other(others, party):
    queue = FairQueue(100)
    for number, other in enumerate(others):
        if other != party:
            queue.push(other, (other, number))
    queue.push(party, (party, -1))

    served = drained(queue)
    before = Counter(other for other, _ in served[: served.index((party, -1))])
    assert all(count == 1 for count in before.values())


@given(st.dictionaries(PARTIES, st.integers(1, 30), min_size=1), st.integers(1, 40))
def test_nobody_gets_more_than_one_ahead_of_another_who_waits(lengths, served):
    queue = FairQueue(200)
    for party, length in lengths.items():
        for _ in range(length):
            queue.push(party, party)

    got = Counter(party for _ in range(served) if (party := queue.pop()) is not None)

    for party, length in lengths.items():
        if got[party] < length:  # still waiting: nobody may be further ahead
            assert max(got.values(), default=0) - got[party] <= 1
