"""Who is promoted, and what is refused because it could lose acknowledged writes."""

from dataclasses import replace

import pytest

from server.failover import Asked, FailoverRefused, NotPermitted, ServerFacts, make_plan
from shardmap import Durability

QUORUM = Asked("s0", Durability.QUORUM, databases=("app",))
ASYNC = Asked("s0", Durability.ASYNC, databases=("app",))


def server(name, **facts):
    known = {"system": 7, "timeline": 3, "lsn": 100, "superuser": True, "may_promote": True}
    return ServerFacts(name)._replace(**{**known, **facts})


def primary(name, **facts):
    return server(name, **facts)


def replica(name, **facts):
    return server(name, **{"recovering": True, "receiving": True, **facts})


def away(name):
    return ServerFacts(name, away="no route")


def test_the_furthest_replica_succeeds_a_lost_primary():
    plan = make_plan(QUORUM, [away("a"), replica("b", lsn=90), replica("c", lsn=100)])

    assert (plan.heir, plan.old, plan.lost, plan.followers) == ("c", None, ("a",), ("b",))
    assert plan.losses == ()


def test_a_newer_timeline_is_further_than_any_position():
    plan = make_plan(QUORUM, [away("a"), replica("b", timeline=4, lsn=1), replica("c", lsn=100)])

    assert plan.heir == "b"


def test_with_a_primary_that_answers_it_is_a_switchover_that_loses_nothing():
    plan = make_plan(ASYNC, [primary("a"), replica("b", lsn=1), away("c")])

    assert plan.planned
    assert (plan.heir, plan.old, plan.losses) == ("b", "a", ())
    assert plan.steps[0].startswith("a: shut app")


@pytest.mark.parametrize(
    ("asked", "servers", "words"),
    [
        (QUORUM, [away("a"), replica("b"), away("c")], "a, c of s0 do not answer"),
        (ASYNC, [away("a"), replica("b")], "s0 is async"),
        (replace(QUORUM, to="b"), [away("a"), replica("b", lsn=90), replica("c")],
         "c has 10 bytes that b lacks"),
        (QUORUM, [away("a"), away("b")], "s0 has no replica that answers"),
        (replace(QUORUM, to="x"), [away("a"), replica("b")], "those are: b"),
        (replace(QUORUM, to="a"), [primary("a"), replica("b")], "a is the primary of s0 already"),
        (QUORUM, [primary("a"), primary("b"), replica("c")], "a and b of s0 are primaries"),
        (QUORUM, [primary("a"), replica("b", system=8)], "no replica"),
    ],
)  # fmt: skip
def test_what_could_lose_acknowledged_writes_is_refused_by_name(asked, servers, words):
    with pytest.raises(FailoverRefused, match=words):
        make_plan(asked, servers)


def test_an_accepted_loss_is_in_the_plan():
    asked = replace(ASYNC, accept_loss=True)

    plan = make_plan(asked, [away("a"), replica("b")])

    assert plan.document()["losses"] == list(plan.losses) != []


def test_a_primary_that_was_left_behind_is_no_primary():
    plan = make_plan(QUORUM, [primary("a", timeline=2), away("b"), replica("c")])

    assert plan.old is None
    assert plan.lost == ("b", "a")


@pytest.mark.parametrize(
    "servers",
    [
        [away("a"), replica("b", may_promote=False)],
        [primary("a", superuser=False), replica("b")],
        [away("a"), replica("b", superuser=False)],
    ],
)
def test_what_the_login_may_not_do_is_said_before_anything_is_done(servers):
    with pytest.raises(NotPermitted, match="login"):
        make_plan(QUORUM, servers)
