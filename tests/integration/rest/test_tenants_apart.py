"""No parameter of the REST API lets a tenant read, count, write or learn of another's rows."""

import json

import pytest


def body_of(reply):
    return json.loads(reply.body)


async def census(api):
    """Every row of every tenant, as the service role sees it."""
    return await api.rows("/orders?select=tenant_id,id,note,total&order=tenant_id.asc,id.asc")


@pytest.mark.parametrize("dialect", ["native", "postgrest"])
@pytest.mark.parametrize(
    "query",
    [
        "select=tenant_id,id",
        "or=(tenant_id.eq.{other},tenant_id.eq.{own})",
        "or=(id.gt.0,tenant_id.eq.{other})",
        "not.and=(tenant_id.eq.{own})",
        "tenant_id=neq.{own}",
        "tenant_id=in.({other},{own})",
        "tenant_id=not.eq.{own}",
        "tenant_id=gt.0",
        "tenant_id=is.null",
        "and=(tenant_id.in.({other}))",
        "note=eq.n1') OR ('1'='1",
        "note=eq.$1 OR true --",
        "order=tenant_id.desc&limit=1",
        "offset=4",
        "limit=1000&offset=0",
        "select=tenant_id&tenant_id=in.({other})",
    ],
)
async def test_reads_give_own_rows_only(filled, tenants, dialect, query):
    for own, other in (tenants, tenants[::-1]):
        url = "/orders?" + query.format(own=own, other=other).replace(" ", "%20").replace(
            "'", "%27"
        )
        prefer = {"Prefer": "count=exact"} if dialect == "postgrest" else {}
        if dialect == "native":
            url += "&count=exact"

        reply = await getattr(filled, dialect)("GET", url, tenant=own, **prefer)

        assert reply.status in {200, 206}, reply.body
        assert {row["tenant_id"] for row in body_of(reply)} <= {own}
        total = int(dict(reply.headers)["Content-Range"].rpartition("/")[2])
        assert total <= 4


@pytest.mark.parametrize("dialect", ["native", "postgrest"])
@pytest.mark.parametrize("operator", ["eq.{other}", "eq.%20{other}%20"])
async def test_naming_another_tenant_is_refused(filled, tenants, dialect, operator):
    own, other = tenants

    reply = await getattr(filled, dialect)(
        "GET", f"/orders?tenant_id={operator.format(other=other)}", tenant=own
    )

    assert reply.status == 403


async def test_questions_in_the_body_give_own_rows_only(filled, tenants):
    own, other = tenants
    form = {
        "filters": [{"column": "tenant_id", "operator": "in", "value": [own, other]}],
        "orFilters": [f"tenant_id.eq.{other},id.gt.0"],
        "count": "exact",
    }

    reply = await filled.native("POST", "/orders/query", form, tenant=own)

    assert {row["tenant_id"] for row in body_of(reply)} == {own}
    assert ("Content-Range", "0-3/4") in reply.headers


async def test_rows_by_id_are_own_rows(filled, tenants):
    own, other = tenants
    only = await filled.native("POST", "/orders", {"id": 1000, "note": "x"}, tenant=other)
    before = await census(filled)

    replies = [
        await filled.native("GET", "/orders/1000", tenant=own),
        await filled.native("PATCH", "/orders/1000", {"note": "y"}, tenant=own),
        await filled.native("DELETE", "/orders/1000", tenant=own),
    ]

    assert only.status == 201
    assert [reply.status for reply in replies] == [404, 404, 404]
    assert await census(filled) == before


@pytest.mark.parametrize(
    "body",
    [
        '{{"tenant_id":{other},"note":"x"}}',
        '[{{"note":"x"}},{{"tenant_id":{other},"note":"y"}}]',
        '{{"tenant_id":"{other}","note":"x"}}',
        '{{"tenant_id":" {other} ","note":"x"}}',
        '{{"tenant_id":{own},"tenant_id":{other},"note":"x"}}',
        '{{"tenant\\u005fid":{other},"note":"x"}}',
        '{{"tenant_id":{own},"tenant\\u005fid":{other},"note":"x"}}',
        '{{"tenant_id":null,"note":"x"}}',
        '{{"tenant_id":{other}.0,"note":"x"}}',
        '{{"tenant_id":{other}e0,"note":"x"}}',
        '{{"tenant_id":[{other}],"note":"x"}}',
        '{{"tenant_id":{{"a":{other}}},"note":"x"}}',
        '{{"tenant_id":true,"note":"x"}}',
    ],
)
@pytest.mark.parametrize("prefer", ["", "resolution=merge-duplicates", "missing=default"])
async def test_inserts_into_another_tenant_are_refused(filled, tenants, body, prefer):
    own, other = tenants
    before = await census(filled)
    text = body.format(own=own, other=other)

    native = await filled.native("POST", "/orders", text, tenant=own, Prefer=prefer)
    postgrest = await filled.postgrest(
        "POST", "/orders?columns=tenant_id,note", text, tenant=own, Prefer=prefer
    )

    assert native.status in {400, 403}, native.body
    assert postgrest.status in {400, 403}, postgrest.body
    assert await census(filled) == before


async def test_the_last_of_two_keys_is_what_is_checked_and_what_is_written(filled, tenants):
    own, other = tenants

    reply = await filled.native(
        "POST", "/orders", f'{{"tenant_id":{other},"tenant_id":{own},"note":"x"}}', tenant=own
    )

    assert (reply.status, body_of(reply)["tenant_id"]) == (201, own)


async def test_a_tenant_key_that_columns_leave_out_counts_for_nothing(filled, tenants):
    own, other = tenants

    reply = await filled.postgrest(
        "POST",
        "/orders?columns=note&select=tenant_id",
        {"tenant_id": other, "note": "x"},
        tenant=own,
        Prefer="return=representation",
    )

    assert body_of(reply) == [{"tenant_id": own}]


@pytest.mark.parametrize("dialect", ["native", "postgrest"])
@pytest.mark.parametrize(
    "query",
    [
        "id=gt.0",
        "or=(tenant_id.eq.{other},id.gt.0)",
        "tenant_id=in.({own},{other})",
        "tenant_id=neq.{own}",
        "tenant_id=eq.{other}",
    ],
)
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_bulk_writes_touch_own_rows_only(filled, tenants, dialect, query, method):
    own, other = tenants
    before = [row for row in await census(filled) if row["tenant_id"] == other]

    reply = await getattr(filled, dialect)(
        method, f"/orders?{query.format(own=own, other=other)}", {"total": 99}, tenant=own
    )

    assert reply.status in {200, 204, 403}, reply.body
    assert [row for row in await census(filled) if row["tenant_id"] == other] == before


@pytest.mark.parametrize("value", ["{other}", '"{other}"', "null", "[{other}]", "{other}.0"])
async def test_a_row_is_not_given_to_another_tenant(filled, tenants, value):
    own, other = tenants
    before = await census(filled)
    body = f'{{"tenant_id":{value.format(other=other)}}}'

    replies = [
        await filled.native("PATCH", "/orders/1", body, tenant=own),
        await filled.native("PUT", "/orders/1", body, tenant=own),
        await filled.native("PATCH", "/orders?id=eq.1", body, tenant=own),
        await filled.postgrest("PATCH", "/orders?id=eq.1", body, tenant=own),
        await filled.postgrest("PUT", "/orders?id=eq.1", f'{body[:-1]},"id":1}}', tenant=own),
        await filled.native(
            "POST",
            "/orders",
            f'{body[:-1]},"id":1}}',
            tenant=own,
            Prefer="resolution=merge-duplicates",
        ),
    ]

    assert all(reply.status in {400, 403} for reply in replies), replies
    assert await census(filled) == before


async def test_the_tenant_column_is_not_set_to_its_default_or_null_by_leaving_it_out(
    filled, tenants
):
    own = tenants[0]
    before = await census(filled)

    for prefer in ("missing=default", "missing=null"):
        reply = await filled.postgrest(
            "PATCH",
            "/orders?id=eq.1&columns=tenant_id,note",
            {"note": "x"},
            tenant=own,
            Prefer=prefer,
        )
        assert reply.status in {400, 403}, reply.body

    assert await census(filled) == before


@pytest.mark.parametrize("target", ["id", "tenant_id,id", "note", "tenant_id,note"])
@pytest.mark.parametrize("resolution", ["merge-duplicates", "ignore-duplicates"])
async def test_upserts_never_meet_another_tenants_row(filled, tenants, target, resolution):
    own, other = tenants
    await filled.native("POST", "/orders", {"id": 1000, "note": "theirs"}, tenant=other)
    before = [row for row in await census(filled) if row["tenant_id"] == other]

    reply = await filled.native(
        "POST",
        f"/orders?on_conflict={target}",
        {"id": 1000, "note": "theirs", "total": 1},
        tenant=own,
        Prefer=f"resolution={resolution}",
    )

    assert reply.status == 201, reply.body
    assert [row for row in await census(filled) if row["tenant_id"] == other] == before


async def test_unique_violations_are_of_own_rows_only(filled, tenants):
    own, other = tenants
    await filled.native("POST", "/orders", {"id": 1000, "note": "theirs"}, tenant=other)

    reply = await filled.native("POST", "/orders", {"id": 1000, "note": "theirs"}, tenant=own)

    assert reply.status == 201


async def test_views_of_other_tenants_rows_are_out_of_reach(filled, tenants):
    own, other = tenants
    await filled.native("PATCH", "/orders/1", {"mood": "great"}, tenant=other)

    reply = await filled.native("GET", "/great_orders", tenant=own)
    theirs = await filled.native("GET", "/great_orders", tenant=other)

    assert body_of(reply) == []
    assert [row["tenant_id"] for row in body_of(theirs)] == [other]


@pytest.mark.parametrize(
    "select", ["(select 1)", "id,(select note from orders)", "orders", "note::regclass", "ctid"]
)
async def test_select_reaches_no_other_table_or_system_column(filled, tenants, select):
    reply = await filled.postgrest(
        "GET", f"/orders?select={select.replace(' ', '%20')}&limit=1", tenant=tenants[0]
    )

    assert reply.status == 400
