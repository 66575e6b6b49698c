"""What each error of the driver means."""

import asyncpg
import pytest

from router import DeadlineExceeded, PrimaryAway, ShardDown, StatementFailed
from router.live.failures import (
    EndpointLost,
    PlanOutdated,
    RecoveryConflict,
    Scene,
    TryAgain,
    proves_rollback,
    says_read_only,
    translated,
)
from shardmap import ShardId

SHARD = ShardId("s")


def scene(*, read=True, closed=False, expired=False):
    return Scene(SHARD, "s-a", read, closed, expired)


def server_error(sqlstate, **fields):
    """An error as the server would have sent it."""
    codes = {"C": sqlstate, "M": "no", "S": "ERROR", "V": "ERROR", **fields}
    return asyncpg.PostgresError.new(codes)


@pytest.mark.parametrize("state", ["57P01", "57P02", "57P03", "57P04", "08000", "08003", "08006"])
def test_a_server_that_goes_away_is_lost(state):
    failure = translated(server_error(state), scene())

    assert isinstance(failure, EndpointLost)
    assert isinstance(failure, ShardDown)
    assert failure.down


@pytest.mark.parametrize("state", ["25P03", "57P05"])
def test_a_session_that_the_server_ended_says_nothing_of_the_server(state):
    failure = translated(server_error(state), scene())

    assert isinstance(failure, EndpointLost)
    assert not failure.down


def test_a_violated_protocol_is_about_the_statement():
    failure = translated(server_error("08P01"), scene())

    assert isinstance(failure, StatementFailed)
    assert failure.sqlstate == "08P01"


def test_a_cancel_is_a_deadline_only_if_it_has_passed():
    assert isinstance(translated(server_error("57014"), scene(expired=True)), DeadlineExceeded)
    assert isinstance(translated(server_error("57014"), scene()), StatementFailed)
    assert isinstance(translated(TimeoutError(), scene()), DeadlineExceeded)


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_replay_interrupts_reads_only(state):
    assert isinstance(translated(server_error(state), scene()), RecoveryConflict)
    assert isinstance(translated(server_error(state), scene(read=False)), StatementFailed)


def test_a_demoted_primary_refuses_writes():
    assert isinstance(translated(server_error("25006"), scene(read=False)), PrimaryAway)
    assert isinstance(translated(server_error("25006"), scene()), StatementFailed)
    assert says_read_only(server_error("25006"))
    assert says_read_only(server_error("0A000"))
    assert not says_read_only(server_error("42601"))
    assert not says_read_only(OSError())


def test_a_plan_that_is_outdated_was_not_run():
    assert isinstance(translated(server_error("26000"), scene()), PlanOutdated)
    assert isinstance(translated(asyncpg.InvalidCachedStatementError("x"), scene()), PlanOutdated)
    assert isinstance(translated(asyncpg.OutdatedSchemaCacheError("x"), scene()), PlanOutdated)


def test_postgresqls_own_errors_keep_their_fields():
    error = server_error("23505", D="detail", H="hint", t="orders", c="id", n="orders_pkey")

    failure = translated(error, scene(read=False))

    assert isinstance(failure, StatementFailed)
    assert not isinstance(failure, TryAgain)
    assert (failure.sqlstate, failure.message, failure.detail, failure.hint) == (
        *("23505", "no", "detail", "hint"),
    )
    assert (failure.table, failure.column, failure.constraint) == ("orders", "id", "orders_pkey")


def test_a_connection_that_broke_is_lost_and_one_that_had_ended_says_nothing():
    broke = translated(ConnectionResetError("reset"), scene(closed=True))
    ended = translated(asyncpg.InterfaceError("connection is closed"), scene(closed=True))

    assert isinstance(broke, EndpointLost)
    assert broke.down
    assert isinstance(ended, EndpointLost)
    assert not ended.down


def test_arguments_that_do_not_fit_are_the_statements_fault():
    number = asyncpg.InterfaceError("the server expects 1 argument for this query, 2 were passed")
    value = asyncpg.DataError("invalid input for query argument $1")
    result = ValueError("ordinal must be >= 1")

    found = [translated(error, scene()) for error in (number, value, result)]

    assert [failure.sqlstate for failure in found] == ["08P01", "22P02", "22000"]


@pytest.mark.parametrize("kind", [asyncpg.InterfaceError, asyncpg.InternalClientError])
def test_a_mistake_of_our_own_is_not_translated(kind):
    with pytest.raises(kind):
        translated(kind("another operation is in progress"), scene())


@pytest.mark.parametrize(
    ("state", "proof"),
    [
        ("23503", True),
        ("23505", True),
        ("40001", True),
        ("P0001", True),
        ("57014", False),
        ("57P01", False),
        ("08006", False),
        ("53100", False),
        ("58030", False),
        ("XX000", False),
    ],
)
def test_which_errors_at_commit_prove_that_nothing_remains(state, proof):
    assert proves_rollback(server_error(state)) == proof
    assert not proves_rollback(OSError())
