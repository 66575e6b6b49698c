"""What a write says of its outcome: committed, surely not, or unknown; never a guess."""

import asyncio
import contextlib

import pytest

from router import (
    CommitLost,
    CommitUnknown,
    Deadline,
    DeadlineExceeded,
    PrimaryAway,
    QuorumLost,
    RowCountUnexpected,
    StatementFailed,
    TransactionOptions,
)

INSERT = "INSERT INTO notes (id) VALUES ($1)"
COUNT = "SELECT count(*) FROM notes"
COMMITTING = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    " AND datname = current_database()"
)


async def test_the_number_of_changed_rows_comes_from_the_command(world):
    inserted = await world.write("INSERT INTO notes SELECT generate_series(1, 5)")
    updated = await world.write("UPDATE notes SET body = 'x' WHERE id > 2 RETURNING id, body")
    nothing = await world.write("DELETE FROM notes WHERE id > 99")

    assert (inserted.affected, inserted.rows, inserted.columns) == (5, [], ())
    assert (updated.affected, len(updated.rows), updated.columns) == (3, 3, ("id", "body"))
    assert nothing.affected == 0
    assert not updated.served.replica


async def test_another_number_of_rows_than_asked_for_is_rolled_back(world):
    await world.write("INSERT INTO notes SELECT generate_series(1, 5)")

    with pytest.raises(RowCountUnexpected) as caught:
        await world.run(world.writing("DELETE FROM notes", exactly=1))
    with pytest.raises(RowCountUnexpected):
        await world.run(world.reading("SELECT * FROM notes", exactly=1))

    assert (caught.value.expected, caught.value.found) == (1, 5)
    assert (await world.read(COUNT)).rows == [(5,)]


async def test_a_json_envelope_says_its_number_of_rows_in_a_column(world):
    sql = (
        "WITH w AS (INSERT INTO notes SELECT generate_series(1, 3) RETURNING id)"
        " SELECT json_agg(w)::text, count(*) FROM w"
    )

    with pytest.raises(RowCountUnexpected):
        await world.run(world.writing(sql, exactly=1, row_count_column=1))
    reply = await world.run(world.writing(sql, exactly=3, row_count_column=1))

    assert reply.affected == 3


async def test_a_refused_statement_has_all_of_postgresqls_fields(world):
    await world.write(INSERT, 1)

    with pytest.raises(StatementFailed) as caught:
        await world.write(INSERT, 1)

    error = caught.value
    assert (error.sqlstate, error.table, error.constraint) == ("23505", "notes", "notes_pkey")
    assert error.detail == "Key (id)=(1) already exists."


async def test_a_value_of_the_wrong_type_is_the_statements_fault(world):
    with pytest.raises(StatementFailed) as wrong_type:
        await world.write(INSERT, "x")
    with pytest.raises(StatementFailed) as wrong_number:
        await world.write(INSERT, 1, 2)
    with pytest.raises(StatementFailed) as surrogate:
        await world.read("SELECT '\ud800'")

    assert wrong_type.value.sqlstate == "22P02"
    assert wrong_number.value.sqlstate == "08P01"
    assert surrogate.value.sqlstate == "22021"
    assert (await world.read(COUNT)).rows == [(0,)]


async def test_a_constraint_checked_at_commit_refuses_the_write(world):
    async with world.superuser(world.PRIMARY) as connection:
        await connection.execute(
            "ALTER TABLE notes ADD parent int REFERENCES notes DEFERRABLE INITIALLY DEFERRED"
        )

    with pytest.raises(StatementFailed) as caught:
        await world.write("INSERT INTO notes (id, parent) VALUES (1, 2)")

    assert caught.value.sqlstate == "23503"
    assert (await world.read(COUNT)).rows == [(0,)]


@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
async def test_a_table_that_changed_its_shape_is_prepared_again(make_world, write):
    world = await make_world(max_connections=4)
    sql = "UPDATE notes SET body = 'x' RETURNING *" if write else "SELECT * FROM notes"
    query = (world.writing if write else world.reading)(sql)
    await world.write(INSERT, 1)
    await asyncio.gather(*(world.run(query) for _ in range(16)))

    async with world.superuser(world.PRIMARY) as connection:
        await connection.execute("ALTER TABLE notes ADD added int DEFAULT 7")
    await world.write(INSERT, 2)  # so that reads wait for the change on their replica
    replies = await asyncio.gather(*(world.run(query) for _ in range(16)))

    assert {reply.columns for reply in replies} == {("id", "owner", "body", "added")}


async def committing(world, until, count=1):
    async with world.superuser(world.PRIMARY) as connection:

        async def all_wait():
            return await connection.fetchval(COMMITTING) == count

        await until(all_wait)


async def test_a_commit_that_no_standby_confirms_is_unknown_and_never_cancelled(
    disposable_world, until
):
    world = disposable_world
    with world.confirming_nothing():
        with pytest.raises(CommitUnknown):
            await world.write(INSERT, 1, seconds=0.3)

        await committing(world, until)  # it goes on waiting, though nobody waits for it
    reply = await until(lambda: _seen(world))
    assert reply == [(1,)]
    assert len(world.observed(CommitLost)) == 1


async def _seen(world):
    rows = (await world.read(COUNT, session="later")).rows
    return rows if rows != [(0,)] else None


async def test_a_caller_that_leaves_during_commit_cancels_nothing(disposable_world, until):
    world = disposable_world
    with world.confirming_nothing():
        call = asyncio.create_task(world.write(INSERT, 1))
        await committing(world, until)

        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call

        await committing(world, until)
        assert (await world.read(COUNT, session="other")).rows == [(0,)]
    assert await until(lambda: _seen(world)) == [(1,)]


async def test_a_primary_lost_while_it_commits_leaves_the_outcome_unknown(disposable_world, until):
    world = disposable_world
    with world.confirming_nothing():
        call = asyncio.create_task(world.write(INSERT, 1))
        await committing(world, until)

        await world.cluster.kill(world.PRIMARY)

        with pytest.raises(CommitUnknown):
            await call
    assert len(world.observed(CommitLost)) == 1


async def test_while_no_standby_confirms_new_writes_are_refused(disposable_world, until):
    world = disposable_world
    with world.confirming_nothing():
        with pytest.raises(CommitUnknown):
            await world.write(INSERT, 1, seconds=0.2)
        await until(lambda: world.status().quorum_lost)

        with pytest.raises(QuorumLost):
            await world.write(INSERT, 2)
        assert (await world.read(COUNT, session="other")).rows == [(0,)]

    await until(lambda: not world.status().quorum_lost)
    await world.write(INSERT, 3)
    assert (await world.read("SELECT id FROM notes ORDER BY id")).rows == [(1,), (3,)]


async def test_a_connection_cut_before_commit_leaves_nothing_and_says_so(world, until):
    call = asyncio.create_task(
        world.write("INSERT INTO notes (id) SELECT 1 FROM pg_sleep(60)", session="x")
    )
    async with world.superuser(world.PRIMARY) as connection:

        async def cut():
            return await connection.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE position('pg_sleep(60)' IN query) > 0 AND pid <> pg_backend_pid()"
            )

        await until(cut)

    with pytest.raises(PrimaryAway):
        await call
    assert (await world.read(COUNT, session="y")).rows == [(0,)]
    await world.write(INSERT, 2)  # the endpoint itself is well


async def test_idle_connections_that_the_server_cut_cost_no_write(world):
    await asyncio.gather(*(world.write(INSERT, number) for number in range(8)))
    async with world.superuser(world.PRIMARY) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'fluxshard' AND datname = current_database()"
        )

    for number in range(10, 30):
        await world.write(INSERT, number)

    assert (await world.read(COUNT)).rows == [(28,)]


async def test_a_deadline_during_the_statement_rolls_back(world):
    with pytest.raises(DeadlineExceeded):
        await world.write("INSERT INTO notes (id) SELECT 1 FROM pg_sleep(60)", seconds=0.2)

    assert (await world.read(COUNT)).rows == [(0,)]


async def test_a_commit_on_a_timeline_that_was_left_behind_is_not_acknowledged(make_world):
    """A promotion became known while the write was on its way to the old primary."""
    world = await make_world(probe_interval_s=300.0, proof_age_s=600.0)
    world.backends._live.groups["shard_0"].newest_timeline = 99

    with pytest.raises(CommitUnknown, match="after another server had been promoted"):
        await world.write("INSERT INTO notes (id) VALUES (1)")
    transaction = await world.backends.begin("shard_0", world.asker(), TransactionOptions())
    try:
        await transaction.run(world.writing("INSERT INTO notes (id) VALUES (2)"), Deadline.after(5))
        with pytest.raises(CommitUnknown, match="after another server had been promoted"):
            await transaction.commit(Deadline.after(5))
    finally:
        transaction.leave()

    assert [one.endpoint for one in world.observed(CommitLost)] == [world.PRIMARY] * 2
