"""Counts that need not be exact, and PostgreSQL's plans: on one shard, and over both."""

import json

import pytest

from server.rest import Limits

PLAN = "application/vnd.pgrst.plan"


@pytest.fixture
async def analysed(library):
    """The library, whose statistics are up to date."""
    for connection in library.connections.values():
        await connection.execute("ANALYZE books, authors, chapters")
    return library


async def count_of(library, url, tenant, how):
    reply = await library.postgrest("HEAD", url, tenant=tenant, Prefer=f"count={how}")
    headers = dict(reply.headers)
    assert reply.status in {200, 206}, reply
    assert headers["Preference-Applied"] == f"count={how}"
    return headers["Content-Range"]


async def test_a_planned_count_is_the_planners_of_all_shards(analysed, tenants):
    both = f"tenant_id=in.({tenants[0]},{tenants[1]})"

    assert await count_of(analysed, "/books?select=id", tenants[0], "planned") == "0-3/4"
    assert await count_of(analysed, f"/books?select=id&{both}", None, "planned") == "0-7/8"
    assert await count_of(analysed, "/books?limit=2", tenants[0], "planned") == "0-1/4"


async def test_an_estimated_count_is_exact_up_to_the_cap_and_then_the_planners(analysed, tenants):
    # the planner does not know that these conditions are one
    url = "/books?select=id,chapters!inner(number)&price=gt.0&or=(id.lt.9,price.lt.90)"
    uncapped, capped = analysed, analysed.over(Limits(max_rows=1))

    assert await count_of(uncapped, url, tenants[0], "estimated") == "0-1/2"
    [total] = (await count_of(capped, url, tenants[0], "estimated")).split("/")[1:]
    assert int(total) >= 2
    of_both = f"/books?select=id&tenant_id=in.({tenants[0]},{tenants[1]})"
    assert await count_of(analysed, of_both, None, "estimated") == "0-7/8"
    assert await count_of(capped, of_both, None, "estimated") == "0-0/8"


async def test_an_offset_behind_an_estimated_count_is_not_satisfiable(analysed, tenants):
    reply = await analysed.postgrest(
        "GET", "/books?offset=9", tenant=tenants[0], Prefer="count=estimated"
    )

    assert reply.status == 416
    assert json.loads(reply.body) == {
        "code": "PGRST103",
        "message": "Requested range not satisfiable",
        "details": "An offset of 9 was requested, but there are only 4 rows.",
        "hint": None,
    }


async def test_groups_over_shards_are_not_estimated_but_refused(analysed, tenants):
    allowed = analysed.over(Limits(aggregates=True))
    url = "/books?select=price,count()"

    of_one = await allowed.postgrest("GET", url, tenant=tenants[0], Prefer="count=planned")
    of_both = await allowed.postgrest("GET", url, Prefer="count=planned")

    assert of_one.status == 200
    assert (of_both.status, json.loads(of_both.body)["code"]) == (400, "PGRST127")


async def test_the_native_api_counts_by_the_planner_too(analysed, tenants):
    for how in ("planned", "estimated"):
        reply = await analysed.native("GET", f"/books?limit=1&count={how}", tenant=tenants[0])
        asked = await analysed.native(
            "POST", "/books/query", {"count": how, "limit": 1}, tenant=tenants[0]
        )

        for each in (reply, asked):
            headers = dict(each.headers)
            assert headers["Content-Range"] == "0-0/4"
            assert headers["Preference-Applied"] == f"count={how}"


async def test_plans_are_not_shown_unless_the_operator_allows_it(library, tenants):
    reply = await library.postgrest("GET", "/books", tenant=tenants[0], Accept=f"{PLAN}+json")

    assert reply.status == 406
    assert json.loads(reply.body) == {
        "code": "PGRST107",
        "message": f"None of these media types are available: {PLAN}+json",
        "details": None,
        "hint": None,
    }


async def test_a_plan_is_postgresqls_of_the_one_shard(library, tenants):
    open_to_all = library.over(Limits(plans=True))

    as_json = await open_to_all.postgrest(
        "GET",
        "/books?id=eq.1",
        tenant=tenants[0],
        Accept=f'{PLAN}+json; for="application/json"; options=analyze|verbose|nonsense;',
    )
    as_text = await open_to_all.postgrest("GET", "/books", tenant=tenants[0], Accept=PLAN)

    assert dict(as_json.headers)["Vary"] == "Accept, Prefer, Range"
    assert as_json.content_type == (
        f'{PLAN}+json; for="application/json"; options=analyze|verbose; charset=utf-8'
    )
    [document] = json.loads(as_json.body)
    assert document["Plan"]["Actual Rows"] == 1
    assert "Output" in document["Plan"]
    assert as_text.content_type == f'{PLAN}+text; for="application/json"; charset=utf-8'
    assert b"cost=" in as_text.body.splitlines()[0]


async def test_plans_of_several_shards_are_a_list_of_each(library, tenants):
    open_to_all = library.over(Limits(plans=True, aggregates=True))

    rows = await open_to_all.postgrest("GET", "/books?order=id", Accept=f"{PLAN}+json")
    groups = await open_to_all.postgrest("GET", "/books?select=price,count()", Accept=PLAN)

    shards = [str(shard) for shard in library.connections]
    assert [plan["Shard"] for plan in json.loads(rows.body)] == shards
    assert [line for line in groups.body.decode().splitlines() if line.startswith("Shard")] == [
        f"Shard {shard}:" for shard in shards
    ]
