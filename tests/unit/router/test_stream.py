import asyncio
import importlib.util
from pathlib import Path

import pytest

from router import WHOLE_ROWS, Access, Deadline, QueryContext, Result, ShardDown, ShardQuery, Stream
from router.analysis.query import GatherForm, Query, Reply, SortKey, StreamForm, Target, Unbounded
from router.plans.plan import EveryShard, Merge, OneShard, Plan, Single
from router.statement import FEW_ROWS
from router.stream import stream
from shardmap import ShardId

_spec = importlib.util.spec_from_file_location(
    "listed_backends", Path(__file__).parents[2] / "fakes" / "listed_backends.py"
)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
ListedBackends = _module.ListedBackends

A, B = ShardId("a"), ShardId("b")
UP = SortKey(descending=False, nulls_first=False)
ASKED = ShardQuery("whole", (), Access.READ, claims=False, inline_position=True)
WHO = QueryContext("service_role", None, "s", "{}", Deadline.after(60))
MANY = 3 * WHOLE_ROWS
GATHER = GatherForm("whole", (UP,), None, None, "rows")


def query(**changes):
    return Query(
        **{
            "access": Access.READ,
            "target": Target.SHARDED,
            "sql": "whole",
            "inline_position": True,
            "claims": False,
            "scope": Unbounded(),
            "gather": GATHER,
            "stream": StreamForm("capped", "rows"),
            **changes,
        }
    )


async def ask(backends, *, limit=None, offset=0, reply=Reply.ROWS, **changes):
    merge = Merge((UP,), limit, offset)
    plan = Plan(EveryShard((A, B)), ASKED, merge, reply, total=False)
    return await stream(plan, query(**changes), backends, WHO, 60)


def rows(*keys):
    return [(f"v{key}", key) for key in keys]


async def test_pieces_of_several_shards_make_up_one_order():
    backends = ListedBackends({A: rows(*range(0, MANY, 2)), B: rows(*range(1, MANY, 2))})

    answer = await ask(backends)
    found = [row async for piece in answer for row in piece.rows]

    assert isinstance(answer, Stream)
    assert found == [(f"v{n}",) for n in range(MANY)]
    assert answer.columns == ("value",)
    assert [one.shard for one in answer.served] == [A, B]
    assert {one[1].sql for one in backends.queries} == {"rows"}
    assert not any(one[1].inline_position for one in backends.queries)


async def test_json_comes_as_the_text_between_the_brackets():
    backends = ListedBackends({A: rows(*range(0, MANY, 2)), B: rows(*range(1, MANY, 2))})

    answer = await ask(backends, reply=Reply.ENVELOPE)
    pieces = [piece async for piece in answer]

    assert len(pieces) > 1
    assert ", \n ".join(piece.text for piece in pieces) == ", \n ".join(
        f"v{n}" for n in range(MANY)
    )
    assert sum(piece.row_count for piece in pieces) == MANY


@pytest.mark.parametrize("reply", [Reply.ROWS, Reply.ENVELOPE])
async def test_a_small_answer_is_given_whole(reply):
    backends = ListedBackends({A: rows(1), B: rows(2)})

    answer = await ask(backends, reply=reply)

    assert isinstance(answer, Result)
    assert answer.row_count == 2
    if reply is Reply.ROWS:
        assert (answer.columns, answer.rows) == (("value",), [("v1",), ("v2",)])
    else:
        assert answer.body == "[v1, \n v2]"


@pytest.mark.parametrize("more", [0, 1])
async def test_whether_an_answer_is_large_is_the_number_of_its_rows(more):
    on_b = rows(*range(WHOLE_ROWS - 10 + more))
    backends = ListedBackends({A: rows(*range(10)), B: on_b}, batch=100)

    answer = await ask(backends)

    if more:
        assert isinstance(answer, Stream)
        assert sum([piece.row_count async for piece in answer]) == WHOLE_ROWS + 1
    else:
        assert isinstance(answer, Result)
        assert answer.row_count == WHOLE_ROWS


async def test_totals_of_shards_are_added_before_the_first_piece():
    counted = [(f"v{n}", n, 7000) for n in range(MANY)]
    backends = ListedBackends({A: counted, B: []})
    plan = Plan(EveryShard((A, B)), ASKED, Merge((UP,), None, 0), Reply.ENVELOPE, total=True)

    answer = await stream(plan, query(), backends, WHO, 60)

    assert isinstance(answer, Stream)
    assert answer.total == 7000
    assert sum([piece.row_count async for piece in answer]) == MANY


async def test_an_empty_answer_is_an_empty_array():
    answer = await ask(ListedBackends({A: [], B: []}), reply=Reply.ENVELOPE)

    assert (answer.row_count, answer.body) == (0, "[]")


async def test_a_limit_that_is_reached_frees_all_connections():
    backends = ListedBackends({A: rows(*range(0, 4000, 2)), B: rows(*range(1, 4000, 2))})

    answer = await ask(backends, limit=WHOLE_ROWS + 1, offset=2)
    found = [row async for piece in answer for row in piece.rows]

    assert found == [(f"v{n}",) for n in range(2, WHOLE_ROWS + 3)]
    assert all(one.abandoned for one in backends.opened.values())
    assert all(one.fetched < 900 for one in backends.opened.values())


async def test_few_rows_far_behind_are_given_whole_and_fetched_in_pieces():
    backends = ListedBackends({A: rows(*range(0, 4000, 2)), B: rows(*range(1, 4000, 2))})

    answer = await ask(backends, limit=3, offset=1500)

    assert isinstance(answer, Result)
    assert (answer.row_count, answer.rows[0]) == (3, ("v1500",))
    assert all(one.abandoned for one in backends.opened.values())


async def test_no_more_than_one_batch_is_fetched_ahead():
    backends = ListedBackends({A: rows(*range(MANY)), B: rows(*range(MANY))}, batch=5)

    answer = await ask(backends)
    await anext(answer)
    for _ in range(20):
        await asyncio.sleep(0)

    assert {one.fetched for one in backends.opened.values()} == {WHOLE_ROWS // 2 + 1 + 5}
    await answer.close()


async def test_a_failure_between_pieces_is_raised_and_not_taken_for_the_end():
    on_a = [*rows(*range(MANY)), ShardDown(A, "gone")]
    backends = ListedBackends({A: on_a, B: rows(*range(MANY))})
    answer = await ask(backends)
    found = []

    async def take():
        async for piece in answer:
            found.extend(piece.rows)

    with pytest.raises(ShardDown):
        await take()

    assert MANY < len(found) < 2 * MANY
    await answer.close()
    assert all(one.abandoned for one in backends.opened.values())


async def test_a_shard_that_cannot_be_opened_fails_the_answer_and_frees_the_others():
    backends = ListedBackends({A: rows(1), B: ShardDown(B, "gone")})

    with pytest.raises(ShardDown) as caught:
        await ask(backends)

    assert caught.value.shard == B
    assert backends.opened[A].abandoned


async def test_a_caller_that_leaves_while_shards_are_opened_leaves_nothing_open():
    backends = ListedBackends({A: rows(1), B: "never"})
    call = asyncio.create_task(ask(backends))
    await backends.stuck.wait()

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert backends.opened[A].abandoned


async def test_closing_ends_what_is_fetched_ahead():
    backends = ListedBackends({A: rows(*range(MANY)), B: rows(*range(MANY))})
    backends.hold = asyncio.Event()
    answer = await ask(backends)
    await anext(answer)
    await asyncio.sleep(0)

    await answer.close()

    assert all(one.cancelled for one in backends.opened.values())
    assert all(one.abandoned for one in backends.opened.values())


def single(reply, *, total=False, access=Access.READ):
    asked = ASKED._replace(access=access, row_count_column=1)
    return Plan(OneShard(A), asked, Single(), reply, total)


async def test_a_small_json_answer_of_one_shard_takes_one_round_trip():
    backends = ListedBackends({})
    backends.reply = [("[{}]", WHOLE_ROWS)]

    answer = await stream(single(Reply.ENVELOPE), query(), backends, WHO, 60)

    assert (answer.row_count, answer.body) == (WHOLE_ROWS, "[{}]")
    assert [one[1].sql for one in backends.queries] == ["capped"]


async def test_a_large_json_answer_of_one_shard_is_asked_for_again_in_pieces():
    backends = ListedBackends({A: [("{}",)] * MANY}, columns=("to_json",))
    backends.reply = [("[{}]", WHOLE_ROWS + 1)]

    answer = await stream(single(Reply.ENVELOPE), query(), backends, WHO, 60)
    pieces = [piece async for piece in answer]

    assert [one[1].sql for one in backends.queries] == ["capped", "rows"]
    assert sum(piece.row_count for piece in pieces) == MANY


FEW_GATHER = GatherForm("whole", (UP,), None, None, "rows", few="few")


async def test_a_small_json_answer_of_several_shards_takes_one_round_trip():
    backends = ListedBackends({})
    backends.reply = [([f"v{n}" for n in range(FEW_ROWS)], list(range(FEW_ROWS)))]

    answer = await ask(backends, reply=Reply.ENVELOPE, gather=FEW_GATHER)

    assert (answer.row_count, answer.body[:14]) == (2 * FEW_ROWS, "[v0, \n v0, \n v")
    assert [one[1].sql for one in backends.queries] == ["few", "few"]


async def test_an_answer_of_which_one_shard_has_more_is_asked_for_again_in_pieces():
    backends = ListedBackends({A: rows(*range(0, MANY, 2)), B: rows(*range(1, MANY, 2))})
    backends.reply = [(["v"] * (FEW_ROWS + 1), list(range(FEW_ROWS + 1)))]

    answer = await ask(backends, reply=Reply.ENVELOPE, gather=FEW_GATHER)
    pieces = [piece async for piece in answer]

    assert sorted(one[1].sql for one in backends.queries) == ["few", "few", "rows", "rows"]
    assert sum(piece.row_count for piece in pieces) == MANY


@pytest.mark.parametrize(
    ("plan", "changes"),
    [
        (single(Reply.ENVELOPE, access=Access.WRITE), {"stream": None}),
        (Plan(EveryShard((A, B)), ASKED, Merge((UP,), 500, 500), Reply.ROWS, total=False), {}),
        (
            Plan(EveryShard((A, B)), ASKED, Merge((UP,), None, 0), Reply.ROWS, total=False),
            {"gather": None},
        ),
    ],
    ids=["write", "small limit", "no form for it"],
)
async def test_what_cannot_come_in_pieces_or_need_not_is_answered_whole(plan, changes):
    backends = ListedBackends({})
    backends.reply = [("[]", 0, 0)]

    answer = await stream(plan, query(**changes), backends, WHO, 60)

    assert isinstance(answer, Result)
    assert {one[1].sql for one in backends.queries} == {"whole"}
