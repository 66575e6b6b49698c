"""The same random REST request on two shards and on one PostgreSQL: same status, body, headers.

Both sides are the REST layer and the router; one side's map has two shards, the other's has one
that holds every tenant. What two shards cannot answer together is refused by name.
"""

import dataclasses
import importlib.util
import json
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router import Deadline, Router, RouterError
from server.errors import ServerError
from server.exchange import Principal, Request
from server.rest import Limits, Tables
from shardmap import ShardMap, TenantId

_spec = importlib.util.spec_from_file_location(
    "router_oracle", Path(__file__).parent / "test_router_against_one_postgresql.py"
)
oracle = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(oracle)

world = oracle.world
TWO: ShardMap = oracle.plans_world.MAP
ONE = dataclasses.replace(
    TWO,
    shards={oracle.SHARDS[0]: TWO.shards[oracle.SHARDS[0]]},
    slots=(oracle.SHARDS[0],) * 4096,
    pins={},
)
SHARDS_CANNOT = {"P102"}
"""Codes that only several shards give."""


def tables(connections, shard_map):
    schema = oracle.plans_world.SCHEMA
    router = Router(oracle.DirectBackends(connections), lambda: shard_map, lambda: schema)
    limits = Limits(
        default_page_size=1000,
        max_page_size=1000,
        max_total_results=10_000,
        max_batch_size=1000,
        max_rows=None,
    )
    return Tables(
        router,
        lambda: schema,
        lambda name: "tenant_id" if name in {"public.orders", "public.items"} else None,
        limits,
    )


@pytest.fixture
def sides(world):
    return world, tables(world.shards, TWO), tables({oracle.SHARDS[0]: world.one}, ONE)


VALUES = {
    "id": ["0", "3", "7", "19", "99"],
    "tenant_id": ["1", "2", "4", "99"],
    "note": ["a", "A", "", "ä", "%", "a b", "Z"],
    "total": ["0", "1.5", "-1.5", "NaN", "7"],
    "created_at": ["2024-01-01", "infinity", "1999-12-31T18:29:59Z"],
}
NAMES = sorted(VALUES)


@st.composite
def conditions(draw):
    name = draw(st.sampled_from(NAMES))
    negation = draw(st.sampled_from(["", "", "not."]))
    operator = draw(st.sampled_from(["eq", "neq", "gt", "gte", "lt", "lte", "in", "is"]))
    if operator == "is":
        return name, f"{negation}is.null"
    if operator == "in":
        found = draw(st.lists(st.sampled_from(VALUES[name]), min_size=1, max_size=3))
        listed = ",".join(f'"{value}"' for value in found)
        return name, f"{negation}in.({listed})"
    return name, f"{negation}{operator}.{draw(st.sampled_from(VALUES[name]))}"


@st.composite
def reads(draw):
    pairs = list(draw(st.lists(conditions(), max_size=2)))
    if draw(st.booleans()):
        inner = draw(st.lists(conditions(), min_size=1, max_size=3))
        quoted = ",".join(
            f"{name}.{text}"
            if "in.(" in text or "is." in text
            else f'{name}.{text.rpartition(".")[0]}."{text.rpartition(".")[2]}"'
            if "." not in text.split(".", 2)[-1]
            else f"{name}.is.null"
            for name, text in inner
        )
        pairs.append((draw(st.sampled_from(["or", "and", "not.or"])), f"({quoted})"))
    select = draw(st.sampled_from(["*", "id,note", "tenant_id,total::text,id", "x:note,data->n"]))
    pairs.append(("select", select))
    keys = draw(st.lists(st.sampled_from(["note", "total", "created_at"]), unique=True, max_size=2))
    directions = st.sampled_from(["", ".desc", ".asc.nullsfirst", ".desc.nullslast"])
    order = [f"{key}{draw(directions)}" for key in keys]
    pairs.append(("order", ",".join([*order, "tenant_id", "id"])))
    if draw(st.booleans()):
        pairs.append(("limit", draw(st.sampled_from(["0", "1", "5", "50"]))))
        pairs.append(("offset", draw(st.sampled_from(["0", "2", "30"]))))
    prefer = draw(st.sampled_from(["", "count=exact"]))
    accept = draw(st.sampled_from(["", "", "application/vnd.pgrst.object+json", "text/csv"]))
    return "GET", pairs, b"", {"Prefer": prefer, "Accept": accept}


@st.composite
def writes(draw):
    prefer = draw(
        st.sampled_from(["", "return=representation", "return=representation,count=exact"])
    )
    verb = draw(st.sampled_from(["POST", "POST", "PATCH", "DELETE"]))
    note = draw(st.sampled_from(VALUES["note"]))
    if verb == "POST":
        rows = [
            {"id": draw(st.integers(0, 40)), "note": note, "tenant_id": draw(st.integers(1, 4))}
            for _ in range(draw(st.integers(1, 2)))
        ]
        resolution = draw(st.sampled_from(["", ",resolution=merge-duplicates"]))
        return verb, [], json.dumps(rows).encode(), {"Prefer": (prefer + resolution).strip(",")}
    pairs = draw(st.lists(conditions(), min_size=1, max_size=2))
    body = json.dumps({"note": note}).encode() if verb == "PATCH" else b""
    return verb, pairs, body, {"Prefer": prefer}


def request(case, tenant):
    method, pairs, body, headers = case
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)
    return Request(
        method=method,
        path="/rest/v1/orders",
        query=query,
        headers={name: value for name, value in headers.items() if value},
        body=body,
        request_id="oracle",
        deadline=Deadline.after(60),
        principal=Principal(
            role="authenticated" if tenant else "service_role",
            tenant=TenantId(str(tenant)) if tenant else None,
            session="oracle",
            claims="{}",
        ),
        params={"table": "orders"},
    )


async def ask(side, case, tenant):
    """Status, body and headers, or the code of the error."""
    try:
        reply = await side.postgrest(request(case, tenant))
    except (RouterError, ServerError) as error:
        return getattr(error, "sqlstate", None) or error.code
    body = reply.body
    if case[0] != "GET" and body.startswith(b"["):
        body = sorted(map(repr, json.loads(body)))
    return reply.status, body, dict(reply.headers)


OUTCOMES = Counter()
PROFILE = settings(
    max_examples=250,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def agree(sides, case, tenant):
    world, two, one = sides
    found = world.run(ask(two, case, tenant))
    if isinstance(found, str) and found in SHARDS_CANNOT:
        OUTCOMES[found] += 1
        return
    assert found == world.run(ask(one, case, tenant))
    OUTCOMES["answered"] += 1


@PROFILE
@given(case=reads(), tenant=st.sampled_from([None, None, 1, 2, 4]))
def test_reads_are_answered_alike(sides, case, tenant):
    agree(sides, case, tenant)


@PROFILE
@given(case=writes(), tenant=st.sampled_from([None, 1, 2, 4]))
def test_writes_are_answered_alike_and_leave_the_same_rows(sides, case, tenant):
    agree(sides, case, tenant)

    world = sides[0]
    assert world.run(oracle.contents(world.shards.values())) == world.run(
        oracle.contents([world.one])
    )


def test_most_requests_are_answered_and_not_refused():
    assert OUTCOMES["answered"] > 0.6 * sum(OUTCOMES.values()), dict(OUTCOMES)
