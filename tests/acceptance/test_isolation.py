"""A tenant's key cannot read, write or count another tenant's row: one test for each way tried."""

import json
import re

import asyncpg
import pytest
import pytest_asyncio

NATIVE = "/api/v1/tables"
REST = "/rest/v1"


@pytest.fixture
def own(tenants):
    return tenants[0]


@pytest.fixture
def other(tenants):
    return tenants[1]


@pytest.fixture
def bearer(key, own):
    return {"Authorization": f"Bearer {key(own)}"}


@pytest_asyncio.fixture
async def unharmed(api, key, other, stage):
    """After the test the other tenant has every row that it had, unchanged."""
    headers = {"Authorization": f"Bearer {key(other)}", "Prefer": "count=exact"}

    async def picture():
        orders = await api.get(f"{REST}/orders?order=id&limit=200", headers=headers)
        products = await api.get(f"{REST}/products?order=id&limit=1000", headers=headers)
        counts = [reply.headers["Content-Range"] for reply in (orders, products)]
        return orders.text, products.text, counts

    before = await picture()
    yield
    assert await picture() == before


def tenants_in(reply):
    return {row.get("tenant_id") for row in reply.json()}


REQUIRED = [
    "tenant_id=eq.{other}",
    "tenant_id=eq.{other}&id=eq.1",
    "and=(tenant_id.eq.{other},id.eq.1)",
    "tenant_id=eq.{own}&tenant_id=eq.{other}",
]
WIDENING = [
    "tenant_id=in.({own},{other})",
    "tenant_id=in.({other})",
    "tenant_id=neq.{own}",
    "tenant_id=gte.0",
    "tenant_id=not.is.null",
    "tenant_id=not.eq.{own}",
    "tenant_id=is.null",
    "or=(tenant_id.eq.{other},id.gt.0)",
    "or=(tenant_id.eq.{own},tenant_id.eq.{other})",
    "not.and=(tenant_id.eq.{own},id.gt.0)",
    "or=(tenant_id.neq.{own},tenant_id.in.({own},{other}))",
    "id=gt.0",
    "tenant_id=eq(any).{{{own},{other}}}",
    "tenant_id=isdistinct.{own}",
    "select=tenant_id::text,id",
    "order=tenant_id.desc",
    "limit=1000&offset=0",
]


@pytest.mark.parametrize("query", REQUIRED)
async def test_a_filter_that_requires_another_tenant_is_refused(api, bearer, own, other, query):
    for mount in (f"{REST}/orders", f"{NATIVE}/orders"):
        reply = await api.get(f"{mount}?{query.format(own=own, other=other)}", headers=bearer)

        if mount.startswith(NATIVE) and reply.status_code == 400:
            continue  # a form that the native dialect does not have
        assert reply.status_code == 403, reply.text
        assert str(other) not in json.dumps(reply.json().get("details"))


@pytest.mark.parametrize("query", WIDENING)
async def test_a_filter_that_allows_others_gives_own_rows_only(api, bearer, own, other, query):
    for mount in (f"{REST}/orders", f"{NATIVE}/orders"):
        reply = await api.get(f"{mount}?{query.format(own=own, other=other)}", headers=bearer)

        if reply.status_code == 400:
            continue  # a form that only one dialect has
        assert reply.status_code in {200, 206}, reply.text
        assert tenants_in(reply) <= {own, str(own), None}


EMBEDDING = [
    "orders?select=tenant_id,customers(tenant_id,email),order_items(tenant_id)",
    "customers?select=tenant_id,orders(tenant_id,order_items(tenant_id))",
    "customers?select=tenant_id,orders(tenant_id)&orders.tenant_id=in.({own},{other})",
    "customers?select=tenant_id,orders(tenant_id)&orders.or=(tenant_id.eq.{other},id.gt.0)",
    "orders?select=tenant_id,...customers(owner:tenant_id)",
    "orders?select=tenant_id,customers!inner(tenant_id)&order=customers(tenant_id).desc",
    "countries?select=code,customers(tenant_id)",
    "categories?select=id,products(tenant_id,order_items(tenant_id))",
    "rpc/search_products?term=&select=tenant_id,order_items(tenant_id)",
    "rpc/search_products?term=&tenant_id=in.({own},{other})",
    "rpc/search_products?term=&or=(tenant_id.eq.{other},id.gt.0)",
]


@pytest.mark.parametrize("query", EMBEDDING)
async def test_what_is_embedded_is_own(api, bearer, own, other, query):
    reply = await api.get(f"{REST}/{query.format(own=own, other=other)}&limit=500", headers=bearer)

    assert reply.status_code == 200, reply.text
    assert set(re.findall(r'"(?:tenant_id|owner)":(\d+)', reply.text)) == {str(own)}


@pytest.mark.parametrize("query", WIDENING)
async def test_a_count_counts_own_rows_only(api, bearer, own, other, query, stage):
    headers = {**bearer, "Prefer": "count=exact"}

    reply = await api.head(f"{REST}/orders?{query.format(own=own, other=other)}", headers=headers)

    if reply.status_code in {200, 206}:
        assert int(reply.headers["Content-Range"].rpartition("/")[2]) <= stage.loaded.orders[own]


async def test_every_row_of_a_whole_table_is_own(api, bearer, own, stage):
    reply = await api.get(f"{REST}/orders?select=tenant_id&limit=100000", headers=bearer)

    assert tenants_in(reply) == {own}
    assert len(reply.json()) == stage.loaded.orders[own]


@pytest.mark.parametrize("body", ["row", "rows", "null", "text"])
async def test_a_row_cannot_be_inserted_for_another_tenant(api, bearer, own, other, body, unharmed):
    row = {"tenant_id": other, "category_id": 1, "name": "forged", "price": 1}
    bodies = {
        "row": row,
        "rows": [{**row, "tenant_id": own}, row],
        "null": {**row, "tenant_id": None},
        "text": {**row, "tenant_id": str(other)},
    }
    for mount in (f"{REST}/products", f"{NATIVE}/products"):
        reply = await api.post(mount, headers=bearer, json=bodies[body])

        assert reply.status_code == 403, reply.text


async def test_a_key_doubled_in_the_body_does_not_smuggle_a_tenant(
    api, bearer, own, other, unharmed
):
    text = '{"tenant_id": %s, "tenant_id": %s, "category_id": 1, "name": "forged", "price": 1}'
    for first, second in ((own, other), (other, own)):
        reply = await api.post(
            f"{REST}/products",
            headers={
                **bearer,
                "Content-Type": "application/json",
                "Prefer": "return=representation",
            },
            content=text % (first, second),
        )

        assert reply.status_code in {400, 403} or tenants_in(reply) == {own}
    await api.delete(f"{REST}/products?name=eq.forged", headers=bearer)


async def test_a_csv_body_does_not_smuggle_a_tenant(api, bearer, other, unharmed):
    reply = await api.post(
        f"{REST}/products",
        headers={**bearer, "Content-Type": "text/csv"},
        content=f"tenant_id,category_id,name,price\n{other},1,forged,1\n",
    )

    assert reply.status_code in {400, 403, 415}


async def test_columns_does_not_hide_the_tenant_of_a_row(api, bearer, own, other, unharmed):
    reply = await api.post(
        f"{REST}/products?columns=category_id,name,price",
        headers={**bearer, "Prefer": "return=representation"},
        json=[{"tenant_id": other, "category_id": 1, "name": "own after all", "price": 1}],
    )

    assert reply.status_code == 403 or tenants_in(reply) == {own}
    await api.delete(f"{REST}/products?name=eq.own%20after%20all", headers=bearer)


@pytest.mark.parametrize("mount", [REST, NATIVE])
@pytest.mark.parametrize("query", ["tenant_id=eq.{other}", "tenant_id=eq.{other}&id=eq.1"])
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_another_tenants_rows_cannot_be_changed_by_their_key(
    api, bearer, other, mount, method, query, unharmed
):
    body = {"json": {"stock": 0}} if method == "PATCH" else {}

    reply = await api.request(
        method, f"{mount}/products?{query.format(other=other)}", headers=bearer, **body
    )

    assert reply.status_code == 403, reply.text


@pytest.mark.parametrize("mount", [REST, NATIVE])
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize("query", ["tenant_id=neq.{own}", "or=(tenant_id.eq.{other},id.lt.0)"])
async def test_a_wide_filter_changes_no_row_of_another_tenant(
    api, bearer, own, other, mount, method, query, unharmed
):
    body = {"json": {"stock": 0}} if method == "PATCH" else {}

    reply = await api.request(
        method, f"{mount}/products?{query.format(own=own, other=other)}", headers=bearer, **body
    )

    assert reply.status_code in {200, 204, 400}, reply.text


@pytest.mark.parametrize("mount", [REST, NATIVE])
async def test_a_row_cannot_be_given_to_another_tenant(api, bearer, other, mount, unharmed):
    for value in (other, str(other), None):
        reply = await api.patch(
            f"{mount}/products?id=eq.1", headers=bearer, json={"tenant_id": value}
        )

        assert reply.status_code == 403, reply.text


async def test_an_upsert_cannot_touch_another_tenants_row(api, bearer, own, other, unharmed):
    row = {"id": 2, "category_id": 1, "name": "taken over", "price": 1}
    mine = (await api.get(f"{REST}/products?id=eq.2", headers=bearer)).json()[0]
    merge = {**bearer, "Prefer": "resolution=merge-duplicates,return=representation"}

    foreign = await api.post(f"{REST}/products", headers=merge, json={**row, "tenant_id": other})
    by_id = await api.post(f"{REST}/products?on_conflict=id", headers=merge, json=row)

    assert foreign.status_code == 403
    assert by_id.status_code in {200, 201, 400}
    if by_id.status_code < 300:
        assert tenants_in(by_id) == {own}
    back = {name: mine[name] for name in ("name", "price", "category_id", "stock", "tags")}
    await api.patch(f"{REST}/products?id=eq.2", headers=bearer, json=back)


async def test_a_row_by_its_id_is_the_own_one(api, bearer, own):
    reply = await api.get(f"{NATIVE}/public/orders/1", headers=bearer)

    assert reply.json()["tenant_id"] == own


@pytest.mark.parametrize("body", ["filters", "or", "between"])
async def test_the_query_body_is_held_to_the_tenant_too(api, bearer, own, other, body):
    bodies = {
        "filters": {"filters": [{"column": "tenant_id", "operator": "in", "value": [own, other]}]},
        "or": {"orFilters": [f"tenant_id.eq.{other},id.gt.0"]},
        "between": {"betweenFilters": [{"column": "tenant_id", "min": 0, "max": 99}]},
    }

    reply = await api.post(f"{NATIVE}/orders/query", headers=bearer, json=bodies[body])

    assert reply.status_code == 200, reply.text
    assert tenants_in(reply) == {own}


async def test_a_header_cannot_choose_another_tenant(api, bearer, other):
    reply = await api.get(f"{REST}/orders", headers={**bearer, "X-Tenant-ID": str(other)})

    assert reply.status_code == 403


@pytest.mark.parametrize("role", ["authenticated", "anon"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PATCH", "DELETE"])
async def test_a_key_without_a_tenant_reaches_no_sharded_table(api, key, role, method):
    body = {"json": {"note": "x"}} if method in {"POST", "PATCH"} else {}
    headers = {"Authorization": f"Bearer {key(role=role)}"}

    where = "" if method == "POST" else "?id=eq.1"

    reply = await api.request(method, f"{REST}/orders{where}", headers=headers, **body)

    assert reply.status_code in {401, 403}


async def test_a_tenants_key_reaches_no_global_table_and_writes_no_reference_table(api, bearer):
    companies = await api.get(f"{REST}/companies", headers=bearer)
    country = await api.post(
        f"{REST}/countries", headers=bearer, json={"code": "XX", "name": "x", "currency": "XXX"}
    )
    countries = await api.get(f"{REST}/countries?limit=2", headers=bearer)

    assert (companies.status_code, country.status_code, countries.status_code) == (403, 403, 200)


@pytest.mark.parametrize("table", ["pg_authid", "pg_catalog.pg_authid", "identity", "maps"])
async def test_no_table_outside_the_exposed_schemas_is_reached(api, bearer, table):
    for mount in (f"{REST}/{table}", f"{NATIVE}/{table}", f"{NATIVE}/fluxshard/{table}"):
        reply = await api.get(mount, headers=bearer)

        assert reply.status_code in {400, 404}, reply.text


async def test_a_profile_does_not_open_another_schema(api, bearer):
    reply = await api.get(f"{REST}/identity", headers={**bearer, "Accept-Profile": "fluxshard"})

    assert reply.status_code == 406


async def test_an_error_does_not_tell_of_another_tenants_key(api, bearer, other, key):
    theirs = await api.get(
        f"{REST}/customers?select=email&limit=1", headers={"Authorization": f"Bearer {key(other)}"}
    )
    row = {"name": "x", "email": theirs.json()[0]["email"], "country": "DE"}

    reply = await api.post(f"{REST}/customers", headers=bearer, json=row)

    assert reply.status_code == 201, reply.text
    gone = await api.delete(f"{REST}/customers?email=eq.{row['email']}&name=eq.x", headers=bearer)
    assert gone.status_code == 204


async def test_row_level_security_holds_where_the_router_is_not_asked(stage, own, other):
    """The second lock by itself: the tenant's role and claims, without the router's predicate."""
    shard = stage.loaded.shard_map.shards[stage.loaded.home(other)]
    connection = await asyncpg.connect(stage.cluster.url(shard.primary.name))
    try:
        async with connection.transaction():
            claims = json.dumps({"role": "authenticated", "tenant_id": own})
            await connection.execute(
                "SELECT set_config('role', 'authenticated', true),"
                f" set_config('request.jwt.claims', '{claims}', true)"
            )
            seen = await connection.fetchval(
                "SELECT count(*) FROM orders WHERE tenant_id = $1", other
            )
    finally:
        await connection.close()

    assert seen == 0
