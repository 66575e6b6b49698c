"""What the media types of plans ask for, and how plans are written."""

import json

import pytest

from router import PlanOptions, ServerPlan
from server.rest.errors import MediaUnavailable
from server.rest.postgrest.media import Media
from server.rest.postgrest.plan_media import plan_media, plans_body

PLAN = "application/vnd.pgrst.plan"


@pytest.mark.parametrize(
    ("accept", "media", "options", "told"),
    [
        (PLAN, Media.JSON, PlanOptions(False, ()), '+text; for="application/json"'),
        (f"{PLAN}+text", Media.JSON, PlanOptions(False, ()), '+text; for="application/json"'),
        (
            f'{PLAN}+json; for="text/csv"; options=wal|analyze|nothing;',
            Media.CSV,
            PlanOptions(True, ("analyze", "wal")),
            '+json; for="text/csv"; options=analyze|wal',
        ),
        (
            f'{PLAN}+json;for="application/vnd.pgrst.object+json";options=',
            Media.OBJECT,
            PlanOptions(True, ()),
            '+json; for="application/vnd.pgrst.object+json"',
        ),
    ],
)
def test_a_plan_is_of_a_representation_with_options(accept, media, options, told):
    assert plan_media(accept) == (media, options, f"{PLAN}{told}; charset=utf-8")


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", f"{PLAN}+xml", f"x; {PLAN}"])
def test_anything_else_is_no_plan(accept):
    assert plan_media(accept) is None


def test_there_is_no_plan_of_what_cannot_be_made():
    with pytest.raises(MediaUnavailable):
        plan_media(f'{PLAN}; for="image/png"')


def test_one_plan_is_as_it_was_printed_and_several_name_their_shards():
    one = ServerPlan("s0", '[\n {"Plan": {"Total Cost": 1.10}}\n]')
    other = ServerPlan("s1", '[{"Plan": {"Total Cost": 2}}]')

    assert plans_body((one,), PlanOptions()) == one.text.encode()
    assert json.loads(plans_body((one, other), PlanOptions())) == [
        {"Shard": "s0", "Plan": {"Total Cost": 1.1}},
        {"Shard": "s1", "Plan": {"Total Cost": 2}},
    ]
    lines = (ServerPlan("s0", "Seq Scan\n  Filter"), ServerPlan("s1", "Index Scan"))
    assert plans_body(lines, PlanOptions(as_json=False)).decode() == (
        "Shard s0:\nSeq Scan\n  Filter\n\nShard s1:\nIndex Scan"
    )
