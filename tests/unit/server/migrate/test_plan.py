import pytest

from server.migrate.errors import HistoryRefused, NoWayDown
from server.migrate.plan import State

A, B = "alter table orders add a int", "alter table orders add b int"


def refused(work):
    with pytest.raises(HistoryRefused) as caught:
        work()
    return list(caught.value.lines)


def test_a_version_is_everywhere_before_the_next_begins(world):
    assert world.plans(_1_a=A, _2_b=B).up() == [
        (1, "catalog"), (1, "shard_0"), (1, "shard_1"),
        (2, "catalog"), (2, "shard_0"), (2, "shard_1"),
    ]  # fmt: skip


def test_it_goes_on_where_it_stopped(world):
    plans = world.plans(_1_a=A, _2_b=B)
    plans.applied("catalog", "shard_0", version=1)

    assert plans.up()[:2] == [(1, "shard_1"), (2, "catalog")]
    assert plans.up(to=1) == [(1, "shard_1")]


def test_a_shard_that_has_joined_gets_every_version(world):
    plans = world.plans(_1_a=A, _2_b=B)
    for version in (1, 2):
        plans.applied("catalog", "shard_0", version=version)

    assert plans.up() == [(1, "shard_1"), (2, "shard_1")]


def test_a_database_without_tables_of_the_file_has_nothing_to_run(world):
    works = world.plans(_1_a=A).works()

    assert [len(work.steps) for work in works] == [0, 1, 1]


def test_a_changed_file_is_refused_by_name(world):
    plans = world.plans(_1_a=A)
    plans.applied(version=1, checksum="other")

    assert refused(plans.up) == [
        "1_a.sql was changed after it was applied on catalog, shard_0, shard_1"
    ]


def test_a_missing_file_is_refused_by_name(world):
    before = world.plans(_1_a=A, _2_b=B)
    before.applied("shard_1", version=2)
    before.applied(version=1)
    plans = world.plans(_1_a=A)
    plans.ledgers = before.ledgers

    assert refused(plans.up) == ["2 (b) was applied on shard_1, and its file is missing"]


def test_a_file_that_comes_too_late_is_refused_by_name(world):
    plans = world.plans(_1_a=A, _2_b=B)
    plans.applied(version=2)

    assert refused(plans.up) == [
        (
            "1_a.sql comes too late: catalog, shard_0, shard_1 have version 2 already; "
            "give it a higher number"
        )
    ]


def test_another_name_for_a_version_is_refused(world):
    plans = world.plans(_1_a=A)
    plans.applied(version=1, name="x")

    assert refused(plans.up) == ["1_a.sql was applied as x: version 1 has another name now"]


def test_what_cannot_run_in_a_transaction_is_a_step_of_its_own(world):
    index = "create index concurrently i on orders (a)"
    plans = world.plans(_1_a=f"{A}; select 1; {index}; {B}; vacuum orders")

    steps = plans.works()[1].steps

    assert [(len(step.statements), step.transaction) for step in steps] == [
        (2, True), (1, False), (1, True), (1, False),
    ]  # fmt: skip


def test_with_no_transaction_each_statement_is_committed_by_itself(world):
    plans = world.plans(
        _1_a=f"-- fluxshard: no-transaction\n{A}; {B}; do $$ begin end $$; call p()"
    )

    steps = plans.works()[1].steps

    assert [step.transaction for step in steps] == [True, True, False, False]


def test_a_half_done_file_may_change_behind_what_is_done(world):
    no = "-- fluxshard: no-transaction\n"
    before = world.plans(_1_a=f"{no}{A}; {B}")
    first = before.works()[1].steps[0].checksum
    behind = world.plans(_1_a=f"{no}{A}; select 2")
    within = world.plans(_1_a=f"{no}select 2; {B}")
    for plans in (behind, within):
        plans.applied("shard_0", version=1, state=State.APPLYING, done=[first], steps=2)

    (work,) = [work for work in behind.works() if work.database.name == "shard_0"]

    assert work.done == 1
    assert refused(within.up) == [
        (
            "1_a.sql was changed where it is half done on shard_0: "
            "its first 1 of 2 steps are committed there"
        )
    ]


def test_down_undoes_the_newest_versions_in_reverse(world):
    plans = world.plans(_1_a=A, _1_a__down="select 1", _2_b=B, _2_b__down="select 2")
    plans.applied(version=1)
    plans.applied("catalog", "shard_0", version=2)

    assert plans.down() == [(2, "shard_0"), (2, "catalog")]
    assert plans.down(2)[2:] == [(1, "shard_1"), (1, "shard_0"), (1, "catalog")]


def test_down_without_a_down_file_is_refused_by_name(world):
    plans = world.plans(_1_a=A)
    plans.applied(version=1)

    with pytest.raises(NoWayDown) as caught:
        plans.down()

    assert str(caught.value) == "1_a has no down file (1_a.down.sql)"


def test_up_waits_until_a_half_done_down_is_finished(world):
    plans = world.plans(_1_a=A, _1_a__down="select 1")
    plans.applied(version=1)
    plans.applied("shard_1", version=1, state=State.REVERTING)

    assert refused(plans.up) == [
        "1 (a) is half undone on shard_1: fluxshard migrate down goes on with it"
    ]
