"""Upserts say whether anything is new, and rows of one insert have defaults of their own."""

import json

import pytest

MERGE = "resolution=merge-duplicates"
SHOW = f"{MERGE}, return=representation"


def body(reply):
    return json.loads(reply.body)


async def test_an_upsert_that_inserts_nothing_is_answered_200(api, tenants):
    tenant = tenants[0]

    async def upserted(rows, prefer, url="/orders?select=id,note&columns=id,note", **headers):
        return await api.postgrest("POST", url, rows, tenant=tenant, Prefer=prefer, **headers)

    for status in (201, 200):
        reply = await upserted([{"id": 1, "note": "a"}], MERGE)
        assert (reply.status, reply.body) == (status, b"")
    both = [{"id": 1, "note": "b"}, {"id": 2, "note": 'x, \n {"fluxshard_inserted":true,'}]
    for status in (201, 200):
        reply = await upserted(both, SHOW)
        assert (reply.status, body(reply)) == (status, both)
        assert dict(reply.headers)["Content-Range"] == "*/*"
    reply = await upserted(both[:1], SHOW, Accept="text/csv")
    assert (reply.status, reply.body) == (200, b"id,note\n1,b")
    reply = await upserted(both[:1], f"{MERGE}, return=headers-only")
    assert dict(reply.headers)["Location"] == f"/orders?tenant_id=eq.{tenant}&id=eq.1"
    reply = await upserted([{"id": 1}], SHOW, url="/orders?select=id")
    assert (reply.status, body(reply)) == (200, [{"id": 1}])
    ignored = "resolution=ignore-duplicates, return=representation"
    assert (await upserted(both[:1], ignored)).status == 201


async def test_so_is_one_on_several_shards(api, tenants):
    rows = [{"tenant_id": tenant, "id": 1, "note": "a"} for tenant in tenants]

    for status in (201, 200):
        reply = await api.postgrest(
            "POST", "/orders?select=tenant_id,id,note&on_conflict=tenant_id,id", rows, Prefer=SHOW
        )
        assert (reply.status, body(reply)) == (status, rows)
    rows[1] |= {"id": 2, "note": "b"}
    reply = await api.postgrest("POST", "/orders", rows, Prefer=MERGE)
    assert reply.status == 201


@pytest.mark.parametrize("tenant", [0, None])
async def test_a_reference_table_tells_it_as_well(api, tenants, tenant):
    for status in (201, 200):
        reply = await api.postgrest("POST", "/countries", {"code": "zz", "name": "Z"}, Prefer=SHOW)
        assert (reply.status, body(reply)) == (status, [{"code": "zz", "name": "Z"}])
    await api.postgrest("DELETE", "/countries?code=eq.zz")


async def test_put_inserts_and_replaces(api, tenants):
    for status in (201, 200):
        reply = await api.postgrest(
            "PUT", "/orders?id=eq.5&select=note", {"id": 5, "note": "p"},
            tenant=tenants[1], Prefer="return=representation",
        )  # fmt: skip
        assert (reply.status, body(reply)) == (status, [{"note": "p"}])
    reply = await api.postgrest("PUT", "/orders?id=eq.5", {"id": 5, "note": "q"}, tenant=tenants[1])
    assert (reply.status, reply.body) == (204, b"")


async def test_rows_have_defaults_of_their_own(api, tenants):
    rows = [
        {"note": "a", "mood": "bad", "tags": ["x", "y,z"]},
        {"id": 70, "note": "b", "data": {"n": 1.5}},
        {"note": None, "mood": None, "active": False, "home": {"street": "s", "number": 1}},
    ]
    shown = "select=note,mood,tags,data,active,home"
    columns = "columns=id,note,mood,tags,data,active,home"
    prefer = "missing=default, return=representation"
    expected = [
        {"note": "a", "mood": "bad", "tags": ["x", "y,z"], "data": None, "active": True, "home": None},
        {"note": "b", "mood": "ok", "tags": None, "data": {"n": 1.5}, "active": True, "home": None},
        {"note": None, "mood": None, "tags": None, "data": None, "active": False, "home": {"street": "s", "number": 1}},
    ]  # fmt: skip

    exact = json.dumps(rows).replace("1.5", "1.500")
    reply = await api.postgrest(
        "POST", f"/orders?{shown}&{columns}", exact, tenant=tenants[0], Prefer=prefer
    )
    assert (reply.status, body(reply)) == (201, expected)
    assert b"1.500" in reply.body
    assert dict(reply.headers)["Preference-Applied"] == prefer

    reply = await api.native("POST", f"/orders?{shown}", rows, tenant=tenants[1], Prefer=prefer)
    assert (reply.status, body(reply)) == (201, expected)

    mixed = [
        {"tenant_id": tenants[0], "note": "c", "mood": "great"},
        {"note": "d", "active": False},
    ]
    reply = await api.native(
        "POST", "/orders?select=tenant_id,mood,active", mixed, tenant=tenants[0], Prefer=prefer
    )
    assert body(reply) == [
        {"tenant_id": tenants[0], "mood": "great", "active": True},
        {"tenant_id": tenants[0], "mood": "ok", "active": False},
    ]


async def test_so_have_rows_of_several_shards(api, tenants):
    rows = [
        {"tenant_id": tenants[1], "note": "a", "mood": "bad"},
        {"tenant_id": tenants[0], "note": "b", "active": False},
    ]
    reply = await api.native(
        "POST", "/orders?select=note,mood,active", rows, Prefer="missing=default"
    )
    assert (reply.status, body(reply)) == (
        201,
        [
            {"note": "a", "mood": "bad", "active": True},
            {"note": "b", "mood": "ok", "active": False},
        ],
    )

    reply = await api.native("POST", "/orders", [*rows, {"note": "c"}], Prefer="missing=default")
    assert (reply.status, body(reply)["code"]) == (400, "P102")
