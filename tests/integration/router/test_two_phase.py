"""Writes on two shards: all of it or nothing, whatever goes wrong on the way."""

import asyncio

import asyncpg
import pytest

from router import (
    CommitOvertaken,
    Part,
    RowCountUnexpected,
    StatementFailed,
    Step,
    StepReached,
    Together,
    TransactionRecovered,
)
from router.commit.prepared import GlobalId
from shardmap import ShardId

A, B = ShardId("shard_0"), ShardId("shard_1")
INSERT = "INSERT INTO notes (id, body) VALUES ($1, $2) RETURNING id"
PREPARED = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"


def on_both(world, sql=INSERT, args=(1, "x"), **more):
    query = world.writing(sql, *args)
    return Together((Part(A, query), Part(B, query)), **more)


async def together(world, write, **who):
    return await world.backends.run_together(write, world.asker("service_role", **who))


async def everywhere(world, sql):
    found = []
    for server in ("shard_0-a", "shard_1-a"):
        async with world.superuser(server) as connection:
            found.append([tuple(row) for row in await connection.fetch(sql)])
    return found


def on(world, server, sql, *args):
    async def run():
        connection = await asyncpg.connect(world.cluster.url(server, world.database))
        try:
            await connection.execute(sql, *args)
        finally:
            await connection.close()

    return run()


async def test_both_shards_commit_and_a_later_read_of_the_session_shows_it(world):
    replies = await together(world, on_both(world))

    reads = [
        await world.backends.run(shard, world.reading("SELECT id FROM notes"), world.asker())
        for shard in (A, B)
    ]
    assert [(reply.served.shard, reply.rows, reply.affected) for reply in replies] == [
        (A, [(1,)], 1),
        (B, [(1,)], 1),
    ]
    assert [read.rows for read in reads] == [[(1,)], [(1,)]]
    assert await everywhere(world, PREPARED) == [[], []]


async def test_the_decision_is_forgotten_when_all_have_committed(world):
    await together(world, on_both(world))

    async def forgotten():
        return await everywhere(world, "SELECT transaction FROM fluxshard.decision") == [[], []]

    await world.until(forgotten)
    steps = [fact.step for fact in world.observed(StepReached)]
    assert steps == [
        Step.RAN, Step.PREPARING, Step.PREPARED, Step.DECIDING, Step.DECIDED, Step.COMMITTED,
        Step.FINISHED,
    ]  # fmt: skip


async def test_a_failure_on_one_shard_leaves_nothing_on_the_other(world):
    async with world.superuser("shard_1-a") as connection:
        await connection.execute("INSERT INTO notes VALUES (1)")

    with pytest.raises(StatementFailed) as caught:
        await together(world, on_both(world))

    assert caught.value.sqlstate == "23505"
    assert await everywhere(world, "SELECT body FROM notes") == [[], [("",)]]
    assert await everywhere(world, PREPARED) == [[], []]


async def test_what_cannot_be_prepared_is_written_nowhere(world):
    notifying = world.writing("SELECT 1 AS id FROM pg_notify('c', 'x')")
    write = Together((Part(A, world.writing(INSERT, 1, "x")), Part(B, notifying)))

    with pytest.raises(StatementFailed) as caught:
        await together(world, write)

    assert caught.value.sqlstate == "0A000"
    assert await everywhere(world, "SELECT id FROM notes") == [[], []]


async def test_a_deferred_constraint_of_the_deciding_shard_undoes_all(world):
    async with world.superuser("shard_0-a") as connection:
        await connection.execute(
            "CREATE TABLE parents (id int PRIMARY KEY);"
            " ALTER TABLE notes ADD FOREIGN KEY (id) REFERENCES parents DEFERRABLE"
            " INITIALLY DEFERRED"
        )

    with pytest.raises(StatementFailed) as caught:
        await together(world, on_both(world))

    assert caught.value.sqlstate == "23503"
    assert await everywhere(world, "SELECT id FROM notes") == [[], []]
    assert await everywhere(world, PREPARED) == [[], []]
    assert await everywhere(world, "SELECT transaction FROM fluxshard.decision") == [[], []]


async def test_the_rows_of_all_shards_are_counted_together(world):
    with pytest.raises(RowCountUnexpected) as caught:
        await together(world, on_both(world, exactly=1))

    assert (caught.value.expected, caught.value.found) == (1, 2)
    assert await everywhere(world, "SELECT id FROM notes") == [[], []]
    await together(world, on_both(world, exactly=2))


async def test_roles_cannot_read_or_write_decisions(world):
    for role in ("service_role", "authenticated"):
        with pytest.raises(StatementFailed) as caught:
            await world.write("DELETE FROM fluxshard.decision", role=role)
        assert caught.value.sqlstate == "42501"


async def test_a_decision_that_recovery_made_first_stands(make_world):
    async def overtake(transaction):
        await on(
            world,
            "shard_0-a",
            "INSERT INTO fluxshard.decision VALUES ($1, false, '{}')",
            transaction,
        )

    world = await make_world()
    world.when(Step.DECIDING, overtake)

    with pytest.raises(CommitOvertaken):
        await together(world, on_both(world))

    assert await everywhere(world, "SELECT id FROM notes") == [[], []]
    assert await everywhere(world, PREPARED) == [[], []]


async def test_a_participant_lost_after_the_decision_commits_by_another_connection(world):
    async def cut(_):
        await on(
            world,
            "shard_1-a",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND query LIKE '%PREPARE TRANSACTION%'",
        )

    world.when(Step.DECIDED, cut)

    replies = await together(world, on_both(world))

    assert len(replies) == 2
    assert await everywhere(world, "SELECT id FROM notes") == [[(1,)], [(1,)]]


async def test_a_decider_lost_before_its_commit_undoes_all(world):
    async def cut(_):
        await on(
            world,
            "shard_0-a",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state = 'idle in transaction'",
        )

    world.when(Step.DECIDING, cut)

    with pytest.raises(Exception, match="nothing was written"):
        await together(world, on_both(world))

    assert await everywhere(world, "SELECT id FROM notes") == [[], []]
    assert await everywhere(world, PREPARED) == [[], []]


async def left_behind(world, *, decided):
    """What a process leaves that died before, or after, the decision."""
    gid = GlobalId.new(world.shard_map.cluster_id, A, "service_role")
    async with world.superuser("shard_1-a") as connection:
        await connection.execute(
            "BEGIN; SET LOCAL ROLE service_role; INSERT INTO notes VALUES (7);"
            f" PREPARE TRANSACTION '{gid}'"
        )
    if decided:
        await on(
            world,
            "shard_0-a",
            "INSERT INTO fluxshard.decision VALUES ($1, true, '{shard_0,shard_1}')",
            gid.transaction,
        )
    return gid


@pytest.mark.parametrize("decided", [True, False])
async def test_recovery_ends_what_was_left_behind_as_it_was_decided(make_world, decided):
    world = await make_world(recovery_age_s=0.3, recovery_interval_s=0.05)
    gid = await left_behind(world, decided=decided)

    async def ended():
        return await everywhere(world, PREPARED) == [[], []]

    await world.until(ended)
    await world.until(lambda: world.observed(TransactionRecovered))

    (fact,) = world.observed(TransactionRecovered)
    rows = await everywhere(world, "SELECT id FROM notes")
    decisions = await everywhere(world, "SELECT transaction, committed FROM fluxshard.decision")
    assert (fact.shard, fact.transaction, fact.committed) == (B, gid.transaction, decided)
    assert rows == [[], [(7,)] if decided else []]
    assert decisions == [[(gid.transaction, decided)], []]


async def test_several_processes_recover_together(cluster, databases, open_world):
    worlds = [
        await open_world(cluster, databases.name, recovery_age_s=0.3, recovery_interval_s=0.01)
        for _ in range(3)
    ]
    await left_behind(worlds[0], decided=True)

    async def ended():
        return await everywhere(worlds[0], PREPARED) == [[], []]

    await worlds[0].until(ended)

    assert await everywhere(worlds[0], "SELECT id FROM notes") == [[], [(7,)]]


async def test_transactions_of_others_are_left_alone(make_world):
    world = await make_world(recovery_age_s=0.0, recovery_interval_s=0.01)
    names = ("somebody-elses", str(GlobalId.new("another-cluster", A, "service_role")))
    async with world.superuser("shard_1-a") as connection:
        for number, name in enumerate(names):
            await connection.execute(
                f"BEGIN; INSERT INTO notes VALUES ({number}); PREPARE TRANSACTION '{name}'"
            )
        ours = await left_behind(world, decided=False)

        await world.until(lambda: world.observed(TransactionRecovered))

        left = {row["gid"] for row in await connection.fetch(PREPARED)}
        assert left == set(names)
        assert ours
        for name in names:
            await connection.execute(f"ROLLBACK PREPARED '{name}'")


async def test_a_client_who_leaves_after_prepare_does_not_stop_the_commit(world):
    task = asyncio.ensure_future(together(world, on_both(world)))
    world.when(Step.PREPARED, lambda _: _cancelled(task))

    with pytest.raises(asyncio.CancelledError):
        await task

    async def there():
        return await everywhere(world, "SELECT id FROM notes") == [[(1,)], [(1,)]]

    await world.until(there)
    assert await everywhere(world, PREPARED) == [[], []]


async def _cancelled(task):
    task.get_loop().call_soon_threadsafe(task.cancel)


async def test_a_client_who_leaves_while_the_statement_runs_leaves_nothing(world):
    slow = on_both(world, "INSERT INTO notes SELECT 1 FROM pg_sleep(60)", ())
    task = asyncio.ensure_future(together(world, slow))

    async def running():
        found = await everywhere(
            world,
            "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
            " AND datname = current_database()",
        )
        return found == [[(1,)], [(1,)]]

    await world.until(running)
    task.cancel()

    async def over():
        found = await everywhere(
            world,
            "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
            " AND datname = current_database()",
        )
        return found == [[], []]

    await world.until(over)
    assert await everywhere(world, "SELECT id FROM notes") == [[], []]


def copied(world, sql, *args, envelope=False):
    """A write on the first shard whose rows the second takes over."""
    first = world.writing(sql, *args, row_count_column=1 if envelope else None)
    follow = world.writing(
        "INSERT INTO notes (id, body) SELECT (r->>0)::int, r->>1"
        " FROM json_array_elements($1::text::json) AS r"
    )
    return Together((Part(A, first), Part(B, follow)), copied="public.notes")


COPY = "to_json(ARRAY[id::text, body])::text"


async def test_rows_are_made_once_and_taken_over(world):
    write = copied(
        world,
        "INSERT INTO notes (id, body) SELECT n, random()::text FROM generate_series(1, 3) AS n"
        f" RETURNING id, {COPY}",
    )

    (reply,) = await together(world, write)

    first, second = await everywhere(world, "SELECT id, body FROM notes ORDER BY id")
    assert (reply.rows, reply.columns, reply.affected) == ([(1,), (2,), (3,)], ("id",), 3)
    assert first == second


async def test_rows_in_an_envelope_are_taken_over(world):
    write = copied(
        world,
        "WITH w AS (INSERT INTO notes VALUES (5, 'o', 'b') RETURNING id, body)"
        f" SELECT json_agg(id)::text, count(*), '[' || string_agg({COPY}, ',') || ']' FROM w",
        envelope=True,
    )

    (reply,) = await together(world, write)

    assert (reply.rows, reply.affected) == ([("[5]", 1)], 1)
    assert await everywhere(world, "SELECT id, body FROM notes") == [[(5, "b")], [(5, "b")]]


async def test_a_write_without_a_row_to_take_over_is_one_shards_own(world):
    (reply,) = await together(world, copied(world, f"DELETE FROM notes RETURNING {COPY}"))

    assert (reply.rows, reply.columns, reply.affected) == ((), (), 0)
    assert world.observed(StepReached) == []


async def test_writers_of_one_table_take_turns_on_every_shard(world):
    async with asyncio.TaskGroup() as tasks:
        for number in range(8):
            sql = (
                f"INSERT INTO notes VALUES (1, '', '{number}')"
                f" ON CONFLICT (id) DO UPDATE SET body = notes.body || excluded.body RETURNING {COPY}"
            )
            write = copied(world, sql)
            follow = write.parts[1].query
            upsert = follow._replace(
                sql=follow.sql + " ON CONFLICT (id) DO UPDATE SET body = excluded.body"
            )
            tasks.create_task(
                together(world, write._replace(parts=(write.parts[0], Part(B, upsert))))
            )

    first, second = await everywhere(world, "SELECT body FROM notes")
    assert sorted(first[0][0]) == list("01234567")
    assert first == second


async def test_a_process_that_stops_ends_its_commits_first(make_world):
    world = await make_world(recovery_interval_s=3600)
    task = asyncio.ensure_future(together(world, on_both(world)))
    world.when(Step.PREPARING, lambda _: _cancelled(task))

    with pytest.raises(asyncio.CancelledError):
        await task
    await world.backends.__aexit__(None, None, None)

    assert await everywhere(world, PREPARED) == [[], []]
    assert await everywhere(world, "SELECT id FROM notes") == [[(1,)], [(1,)]]


async def test_decisions_of_dead_processes_are_forgotten_once_nobody_can_ask(make_world):
    world = await make_world(recovery_age_s=3600)
    asked = await left_behind(world, decided=True)
    aged = "UPDATE fluxshard.decision SET decided_at = now() - interval '2 minutes'"
    await on(world, "shard_0-a", aged)
    await on(
        world,
        "shard_0-a",
        "INSERT INTO fluxshard.decision VALUES"
        " ('unasked', true, '{shard_0,shard_1}', now() - interval '2 minutes'),"
        " ('of a shard that is gone', true, '{shard_0,shard_9}', now() - interval '2 minutes'),"
        " ('fresh', true, '{shard_0}', now()),"
        " ('undone', false, '{}', now() - interval '2 minutes'),"
        " ('undone long ago', false, '{}', now() - interval '2 hours')",
    )

    await world.backends._recovery.tidy()

    (left, _) = await everywhere(world, "SELECT transaction FROM fluxshard.decision")
    assert {name for (name,) in left} == {
        asked.transaction,
        "of a shard that is gone",
        "fresh",
        "undone",
    }
    await on(world, "shard_1-a", f"ROLLBACK PREPARED '{asked}'")
