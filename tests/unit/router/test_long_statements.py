"""Long statements are analysed aside, one at a time, and in the request's time."""

import asyncio
import importlib.util
import threading
from pathlib import Path

import pytest

from router import Deadline, DeadlineExceeded, QueryContext, Router, RouterError, Statement
from router.analysis.analyses import LONG_CHARS, Analyses
from shardmap import TenantId

_spec = importlib.util.spec_from_file_location(
    "plans_world", Path(__file__).parents[2] / "plans" / "world.py"
)
world = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(world)

LONG = "SELECT id FROM orders WHERE note <> '" + "x" * LONG_CHARS + "'"


class Asked(Exception):
    """The backends were reached."""


class Backends:
    async def run(self, *_):
        raise Asked

    async def describe(self, *_):
        raise Asked


def asking(router, seconds=60.0):
    tenant = TenantId("7")
    context = QueryContext("authenticated", tenant, "s", "{}", Deadline.after(seconds))
    return router.answer(Statement(LONG), context)


@pytest.fixture
def router():
    return Router(Backends(), lambda: world.MAP, lambda: world.SCHEMA)


@pytest.fixture
def held(monkeypatch):
    """Analyses wait until they are let go; gives the event, and the threads that made them."""
    go, begun, threads = threading.Event(), threading.Event(), []
    query = Analyses.query

    def slow(self, *args):
        threads.append(threading.current_thread())
        begun.set()
        assert go.wait(20)
        return query(self, *args)

    monkeypatch.setattr(Analyses, "query", slow)
    yield go, begun, threads
    go.set()


async def test_the_loop_goes_on_while_one_is_analysed(router, held):
    go, begun, threads = held
    first, second = asyncio.ensure_future(asking(router)), asyncio.ensure_future(asking(router))
    assert await asyncio.to_thread(begun.wait, 20)

    assert threads[0] is not threading.current_thread()
    assert len(threads) == 1
    go.set()
    for one in (first, second):
        with pytest.raises(Asked):
            await one
    assert len(set(threads)) == 1


async def test_one_that_takes_too_long_is_refused_in_time(router, held):
    with pytest.raises(DeadlineExceeded):
        await asking(router, seconds=0.05)


async def test_short_ones_are_analysed_at_once(router, monkeypatch):
    monkeypatch.setattr(Router, "_aside", None)
    context = QueryContext("authenticated", TenantId("7"), "s", "{}", Deadline.after(60))

    with pytest.raises(Asked):
        await router.answer(Statement("SELECT id FROM orders"), context)


def test_a_statement_of_too_many_words_is_refused(router):
    context = QueryContext("service_role", None, "s", "{}", Deadline.after(60))
    sql = "SELECT id FROM orders WHERE id IN (" + ",".join(map(str, range(20_000))) + ")"

    with pytest.raises(RouterError) as caught:
        router.plan(Statement(sql), context)

    assert caught.value.code == "P100"
    assert "words" in caught.value.message
