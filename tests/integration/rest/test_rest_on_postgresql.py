"""What the REST API builds means to PostgreSQL what it means to the client, on two shards."""

import json
from urllib.parse import quote

import pytest

OBJECT = "application/vnd.pgrst.object+json"


def body_of(reply):
    return json.loads(reply.body)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("id=eq.2", [2]),
        ("id=neq.2", [1, 3, 4]),
        ("total=gt.1.5", [3, 4]),
        ("total=gte.1.5", [2, 3, 4]),
        ("total=lt.1.5", [1]),
        ("total=lte.1.5", [1, 2]),
        ("note=like.n%25", [1, 2, 3, 4]),
        ("note=like.n*", []),
        ("note=ilike.N_", [1, 2, 3, 4]),
        ("id=in.(1,3)", [1, 3]),
        ("id=nin.(1,3)", [2, 4]),
        ("id=not.in.(1,3)", [2, 4]),
        ("note=is.null", []),
        ("note=isnot.null", [1, 2, 3, 4]),
        ("active=is.true", [1, 2, 3, 4]),
        ("tags=cs.(b c)", [2, 3, 4]),
        ('tags=cs.{"b c"}', [2, 3, 4]),
        ('tags=cs.["b c"]', [2, 3, 4]),
        ("tags=cd.(a,b c,d)", [1, 2, 3, 4]),
        ("tags=ov.(x,a)", [2, 3, 4]),
        ("tags=eq.()", [1]),
        ("nums=eq.(1,2)", [1, 2, 3, 4]),
        ('data=cs.{"a":{"b":1}}', [2]),
        ("doc=fts.cat", [1, 2, 3, 4]),
        ("note=plfts.n1", [2]),
        ("note=wfts.n1 or n2", [2, 3]),
        ("period=sl.[9,10)", [1, 2, 3, 4]),
        ("period=sr.[9,10)", []),
        ("period=nxr.[1,5)", [1, 2, 3, 4]),
        ("period=nxl.[2,9)", []),
        ("period=adj.[5,6)", [1, 2, 3, 4]),
        ("period=ov.[4,9)", [1, 2, 3, 4]),
        ("data->a->>b=eq.1", [2]),
        ("data->a->>b=gt.1", [3, 4]),
        ('data->a=eq.{"b":1}', [2]),
        ("raw->z=eq.1", [2]),
        ("tags->0=is.null", [1]),
        ("home->>number=eq.3", [4]),
        ("home=eq.(x,3)", [4]),
        ("mood=eq.ok", [1, 2, 3, 4]),
        ("code=eq.ab", [1, 2, 3, 4]),
        ("bits=eq.1010", [1, 2, 3, 4]),
        ("label=eq.abc", [1, 2, 3, 4]),
        ("placed_at=gte.2024-01-03", [3, 4]),
        ("id.gte=3", [3, 4]),
        ("or=(id.eq.1,and(total.gt.1,not.or(id.eq.3,note.in.(n1,x))))", [1, 4]),
        ('or=(note.eq."n1",tags.cs.["a"],period.ov.[7,9))', [2, 3, 4]),
        ("not.and=(id.gt.1,id.lt.4)", [1, 4]),
    ],
)
async def test_native_filters_find_these_rows(filled, tenants, query, ids):
    for tenant in tenants:
        assert await filled.ids(quote(query, safe="=%&"), tenant) == ids


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("note=like.n*", [1, 2, 3, 4]),
        ("note=match.^n[12]$", [2, 3]),
        ("note=imatch.^N1", [2]),
        ("note=isdistinct.n1", [1, 3, 4]),
        ("note=like(any).{n0,*1}", [1, 2]),
        ("note=ilike(all).{N*,*1}", [2]),
        ("id=eq(any).{1,2}", [1, 2]),
        ("id=gt(all).{1,2}", [3, 4]),
        ("note=match(any).{0,1}", [1, 2]),
        ("doc=fts.cat %26 dog", [1, 2, 3, 4]),
        ("note=phfts(english).n1", [2]),
        ("note=plfts(simple).n1", [2]),
        ("active=is.unknown", []),
        ("note=is.not_null", [1, 2, 3, 4]),
        ("tags=cs.{a,b c}", [2, 3, 4]),
        ('or=(note.eq."n1",tags.cs.{zz},id.in.(3,4))', [2, 3, 4]),
        ("data->a->>b=gt.1", [3, 4]),
    ],
)
async def test_postgrest_filters_find_these_rows(filled, tenants, query, ids):
    for tenant in tenants:
        assert await filled.ids(quote(query, safe="=%&"), tenant, "postgrest") == ids


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("id=eq.x", 400),
        ("id=in.(1,x)", 400),
        ("id=like.5", 404),
        ("note=is.true", 400),
        ("data->a=eq.{", 400),
        ("doc=fts.a b", 400),
        ("doc=wfts(nope).a", 400),
        ("note=match.(", 400),
        ("tags=cs.{", 400),
        ("select=mood::nope", 400),
        ("select=note::int4", 400),
        ("limit=9223372036854775807&offset=9223372036854775807", 200),
    ],
)
async def test_what_postgresql_refuses_is_its_own_error_below_500(filled, tenants, query, status):
    for tenant in tenants:
        reply = await filled.postgrest("GET", f"/orders?{quote(query, safe='=&')}", tenant=tenant)

        assert reply.status == status, reply.body


async def test_select_renames_casts_and_follows_paths(filled, tenants):
    reply = await filled.postgrest(
        "GET",
        "/orders?select=x:note,b:data->a->>b,total::text,raw->z,home->>street,tags->0&id=eq.2",
        tenant=tenants[0],
    )

    assert reply.body == b'[{"x":"n1","b":"1","total":"1.50","z":1,"street":"x","tags":"a"}]'


async def test_a_renamed_column_does_not_change_the_order(filled, tenants):
    reply = await filled.postgrest(
        "GET", "/orders?select=note:id,id:note&order=id.desc&limit=2", tenant=tenants[0]
    )

    assert body_of(reply) == [{"note": 4, "id": "n3"}, {"note": 3, "id": "n2"}]


async def test_a_page_over_all_tenants_is_merged_and_counted(filled, tenants):
    reply = await filled.native(
        "GET",
        "/orders?select=tenant_id,note&order=note.desc,tenant_id.asc&limit=3&offset=1&count=exact",
    )

    first, second = sorted(tenants)
    assert [(row["tenant_id"], row["note"]) for row in body_of(reply)] == [
        (second, "n3"),
        (first, "n2"),
        (second, "n2"),
    ]
    assert ("Content-Range", "1-3/8") in reply.headers


async def test_columns_called_like_the_routers_own_aliases_are_rows_like_others(api, tenants):
    row = {"r": "1", "w": "2", "g": "3", "c": "4", "x": "5"}

    reply = await api.native("POST", "/letters?select=r,w,g,c,x", row, tenant=tenants[0])

    assert body_of(reply) == row
    for options in ({"tenant": tenants[0]}, {}):
        for name, value in row.items():
            assert await api.rows(f"/letters?select={name}&count=exact", **options) == [
                {name: value}
            ]


async def test_csv_is_the_text_of_postgresql(filled, tenants):
    url = "/orders?select=id,note,active,tags,home,data&order=id&limit=2"

    one = await filled.postgrest("GET", url, tenant=tenants[0], Accept="text/csv")
    everybody = await filled.postgrest("GET", url, Accept="text/csv", Prefer="count=exact")

    assert one.body.decode().split("\n") == [
        "id,note,active,tags,home,data",
        '1,n0,t,{},"(x,0)","{""a"": {""b"": 0}}"',
        '2,n1,t,"{a,""b c""}","(x,1)","{""a"": {""b"": 1}}"',
    ]
    assert everybody.status == 206
    assert everybody.body.decode().split("\n")[1:] == [one.body.decode().split("\n")[1]] * 2


# Writes


async def test_an_update_keeps_digits_arrays_composites_and_json_as_written(filled, tenants):
    body = """{"note": "new", "total": 12345.10, "tags": ["q", "r\\"s", null], "nums": "{5,6}",
        "data": {"n": 1.10}, "raw": {"n":1.10,  "m":2}, "mood": null, "home": {"street": "y"},
        "code": "xyz", "bits": "0101", "label": "long", "active": false, "period": "(1,2]"}"""

    reply = await filled.native("PATCH", "/orders/1", body, tenant=tenants[1])

    assert reply.status == 200
    assert b'"total":12345.10,' in reply.body
    assert b'"data":{"n": 1.10}' in reply.body
    assert b'"raw":{"n":1.10,  "m":2}' in reply.body
    row = body_of(reply)
    assert row["tags"] == ["q", 'r"s', None]
    assert row["nums"] == [5, 6]
    assert row["home"] == {"street": "y", "number": None}
    assert (row["code"], row["bits"], row["period"]) == ("xyz", "0101", "[2,3)")
    assert (row["mood"], row["active"]) == (None, False)


async def test_an_insert_and_an_update_read_values_alike(api, tenants):
    body = """{"note": "v", "total": 7, "tags": ["a"], "data": "text", "raw": [1.0, {"a":null}],
        "home": {"number": 5}, "placed_at": "2024-02-03T04:05:06Z", "active": "yes"}"""

    inserted = await api.native(
        "POST", "/orders?select=note,total,tags,data,raw,home,active", body, tenant=tenants[0]
    )
    row_id = (await api.rows("/orders?select=id", tenant=tenants[0]))[0]["id"]
    updated = await api.native(
        "PATCH",
        f"/orders/{row_id}?select=note,total,tags,data,raw,home,active",
        body,
        tenant=tenants[0],
    )

    assert inserted.status == 201
    assert updated.body == inserted.body


async def test_values_that_do_not_fit_are_400(filled, tenants):
    for body in (
        {"label": "toolong"},
        {"total": "x"},
        {"mood": "nope"},
        {"tags": 5},
        {"bits": "1"},
    ):
        update = await filled.native("PATCH", "/orders/1", body, tenant=tenants[0])
        insert = await filled.native("POST", "/orders", body, tenant=tenants[0])

        assert (update.status, insert.status) == (400, 400), body


async def test_one_row_is_read_changed_and_deleted_by_its_id(filled, tenants):
    tenant = tenants[1]

    changed = await filled.native("PUT", "/orders/2", {"note": "x"}, tenant=tenant)
    read = await filled.native("GET", "/orders/2?select=id,note", tenant=tenant)
    deleted = await filled.native("DELETE", "/orders/2", tenant=tenant)
    again = await filled.native("DELETE", "/orders/2", tenant=tenant)
    missing = await filled.native("PATCH", "/orders/2", {"note": "x"}, tenant=tenant)

    assert (changed.status, read.body) == (200, b'{"id":2,"note":"x"}')
    assert (deleted.status, again.status, missing.status) == (204, 404, 404)


async def test_an_id_without_a_tenant_is_not_the_first_that_is_found(filled):
    assert (await filled.native("GET", "/orders/1")).status == 400


async def test_upserts_stay_within_the_tenant(filled, tenants):
    first, second = tenants
    prefer = "resolution=merge-duplicates"

    by_key = await filled.native(
        "POST", "/orders", {"id": 1, "note": "k"}, tenant=first, Prefer=prefer
    )
    by_id = await filled.native(
        "POST", "/orders?on_conflict=id", {"id": 2, "note": "i"}, tenant=first, Prefer=prefer
    )
    by_note = await filled.native(
        "POST", "/orders?on_conflict=note", {"note": "n2", "total": 9}, tenant=first, Prefer=prefer
    )
    ignored = await filled.native(
        "POST",
        "/orders",
        {"id": 1, "note": "z"},
        tenant=first,
        Prefer="resolution=ignore-duplicates",
    )

    assert (by_key.status, by_id.status, by_note.status) == (201, 201, 201)
    assert (ignored.status, ignored.body) == (200, b"null")
    assert await filled.rows("/orders?select=id,note&order=id.asc", tenant=first) == [
        {"id": 1, "note": "k"},
        {"id": 2, "note": "i"},
        {"id": 3, "note": "n2"},
        {"id": 4, "note": "n3"},
    ]
    assert body_of(by_note)["total"] == 9
    assert await filled.ids("note=like.n%25", second) == [1, 2, 3, 4]


async def test_a_conflict_target_that_is_no_key_is_postgresqls_error(filled, tenants):
    reply = await filled.postgrest(
        "POST",
        "/countries?on_conflict=name",
        {"code": "x", "name": "X"},
        Prefer="resolution=ignore-duplicates",
    )

    assert reply.status == 400  # reference tables are not written on several shards yet


async def test_a_row_of_defaults_belongs_to_the_tenant(api, tenants):
    for dialect in (api.native, api.postgrest):
        reply = await dialect(
            "POST", "/orders", {}, tenant=tenants[1], Prefer="return=representation"
        )

        (row,) = [body_of(reply)] if isinstance(body_of(reply), dict) else body_of(reply)
        assert (reply.status, row["tenant_id"], row["mood"]) == (201, tenants[1], "ok")


async def test_rows_come_back_in_the_order_they_were_sent(api, tenants):
    rows = [{"note": f"{number}", "total": -number} for number in range(200)]

    reply = await api.native("POST", "/orders?select=note", rows, tenant=tenants[0])

    assert [row["note"] for row in body_of(reply)] == [row["note"] for row in rows]


async def test_bulk_writes_say_what_they_changed(filled, tenants):
    updated = await filled.native(
        "PATCH", "/orders?total=gt.1", {"active": False}, tenant=tenants[0]
    )
    deleted = await filled.native("DELETE", "/orders?active=is.false&select=id", tenant=tenants[0])

    assert len(body_of(updated)) == 3
    assert body_of(deleted) == {"affected": 3, "records": [{"id": 2}, {"id": 3}, {"id": 4}]}
    assert len(await filled.rows("/orders", tenant=tenants[1])) == 4


async def test_a_single_write_of_several_rows_changes_none(filled, tenants):
    reply = await filled.postgrest(
        "PATCH", "/orders?id=gt.1", {"note": None}, tenant=tenants[0], Accept=OBJECT
    )

    assert (reply.status, body_of(reply)["details"]) == (406, "The result contains 3 rows")
    assert await filled.ids("note=is.null", tenants[0]) == []


async def test_the_location_of_a_new_row_leads_to_it(filled, tenants):
    reply = await filled.postgrest(
        "POST", "/orders", {"note": "new"}, tenant=tenants[0], Prefer="return=headers-only"
    )

    location = dict(reply.headers)["Location"]
    found = await filled.postgrest("GET", location, tenant=tenants[0], Accept=OBJECT)
    assert body_of(found)["note"] == "new"


async def test_csv_that_was_read_can_be_written(filled, tenants):
    read = await filled.postgrest(
        "GET", "/orders?select=note,total,tags,period,active", tenant=tenants[0], Accept="text/csv"
    )
    await filled.native("DELETE", "/orders?id=gt.0", tenant=tenants[0])

    written = await filled.postgrest(
        "POST",
        "/orders?select=note,total,tags,period,active",
        read.body,
        tenant=tenants[0],
        Content_Type="text/csv",
        Prefer="return=representation",
        Accept="text/csv",
    )

    assert written.status == 201
    assert written.body == read.body


async def test_put_inserts_and_then_replaces(api, tenants):
    for note in ("first", "second"):
        reply = await api.postgrest(
            "PUT", "/orders?id=eq.77", {"id": 77, "note": note}, tenant=tenants[0]
        )
        assert reply.status == 204, reply.body

    assert await api.rows("/orders?select=id,note", tenant=tenants[0]) == [
        {"id": 77, "note": "second"}
    ]


async def test_missing_values_of_an_update_are_defaults_when_wanted(filled, tenants):
    await filled.native("PATCH", "/orders/1", {"mood": "bad", "total": 5}, tenant=tenants[0])

    reply = await filled.postgrest(
        "PATCH",
        "/orders?id=eq.1&columns=mood,total&select=mood,total",
        {"total": 1},
        tenant=tenants[0],
        Prefer="missing=default,return=representation",
    )

    assert body_of(reply) == [{"mood": "ok", "total": 1}]
