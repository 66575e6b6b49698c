"""The unmodified PyPI `postgrest` client against the demonstration, for tenants on both shards."""

from decimal import Decimal

import pytest
import pytest_asyncio
from postgrest import APIError, AsyncPostgrestClient, CountMethod


@pytest_asyncio.fixture(params=["first", "second"])
async def client(request, stage, tenants, key):
    tenant = tenants[0 if request.param == "first" else 1]
    async with AsyncPostgrestClient(
        f"{stage.url}/rest/v1",
        headers={"apikey": key(tenant), "Authorization": f"Bearer {key(tenant)}"},
    ) as client:
        client.tenant = tenant
        yield client


@pytest_asyncio.fixture
async def product(client):
    """A product of the test's own."""
    row = {"category_id": 1, "name": "made by a test", "price": 12.5, "tags": ["x", "y z"]}
    made = (await client.table("products").insert(row).execute()).data[0]
    yield made
    await client.table("products").delete().eq("id", made["id"]).execute()


async def test_select_gives_own_rows_with_the_columns_asked_for(client):
    answer = await client.table("orders").select("id, tenant_id, total").limit(5).execute()

    assert len(answer.data) == 5
    assert all(set(row) == {"id", "tenant_id", "total"} for row in answer.data)
    assert {row["tenant_id"] for row in answer.data} == {client.tenant}


async def test_filters_eq_in_gt_and_or(client):
    one = await client.table("orders").select("id").eq("id", 3).execute()
    some = await client.table("orders").select("id").in_("id", [1, 2, 3]).order("id").execute()
    dear = await client.table("orders").select("total").gt("total", 1000).limit(20).execute()
    either = await client.table("orders").select("id").or_("id.eq.1,id.eq.7").order("id").execute()

    assert one.data == [{"id": 3}]
    assert some.data == [{"id": 1}, {"id": 2}, {"id": 3}]
    assert all(row["total"] > 1000 for row in dear.data)
    assert either.data == [{"id": 1}, {"id": 7}]


async def test_text_filters_and_not(client):
    found = await client.table("customers").select("name").ilike("name", "ada%").limit(9).execute()
    others = (
        await client.table("customers").select("name").not_.ilike("name", "ada%").limit(9).execute()
    )
    without = await client.table("orders").select("note").is_("note", "null").limit(3).execute()

    assert all(row["name"].startswith("Ada") for row in found.data)
    assert not any(row["name"].startswith("Ada") for row in others.data)
    assert all(row["note"] is None for row in without.data)


async def test_order_and_range_give_one_page(client):
    query = client.table("orders").select("id").order("id", desc=True)
    whole = (await query.limit(30).execute()).data
    page = (
        await client.table("orders").select("id").order("id", desc=True).range(10, 19).execute()
    ).data

    assert page == whole[10:20]


async def test_count_is_exact_and_counts_own_rows_only(client, stage):
    answer = await client.table("orders").select("id", count=CountMethod.exact).limit(1).execute()
    head = await client.table("orders").select("*", count=CountMethod.exact, head=True).execute()

    assert answer.count == head.count == stage.loaded.orders[client.tenant]


async def test_single_gives_one_object_or_the_documented_error(client):
    one = await client.table("orders").select("id").eq("id", 1).single().execute()

    assert one.data == {"id": 1}
    with pytest.raises(APIError) as caught:
        await client.table("orders").select("id").lt("id", 5).single().execute()
    assert caught.value.code == "PGRST116"


async def test_maybe_single_gives_none_for_no_row(client):
    answer = await client.table("orders").select("id").eq("id", -1).maybe_single().execute()

    assert answer is None or answer.data is None


async def test_insert_gives_the_row_with_the_tenant_filled_in(client, product):
    assert product["tenant_id"] == client.tenant
    assert product["tags"] == ["x", "y z"]
    assert Decimal(str(product["price"])) == Decimal("12.5")


async def test_insert_of_many_keeps_their_order(client):
    rows = [{"category_id": 2, "name": f"bulk {n}", "price": n} for n in range(5)]

    made = (await client.table("products").insert(rows).execute()).data

    assert [row["name"] for row in made] == [row["name"] for row in rows]
    gone = await client.table("products").delete().in_("id", [row["id"] for row in made]).execute()
    assert len(gone.data) == 5


async def test_rows_of_one_insert_have_defaults_of_their_own(client):
    rows = [
        {"category_id": 2, "name": "uneven 1", "price": 1},
        {"category_id": 2, "name": "uneven 2", "price": 1, "stock": 7},
    ]

    made = (await client.table("products").insert(rows, default_to_null=False).execute()).data

    assert [row["stock"] for row in made] == [0, 7]
    await client.table("products").delete().like("name", "uneven %").execute()


async def test_an_update_of_more_rows_than_allowed_changes_nothing(client, product):
    update = client.table("products").update({"price": 1}).gt("id", 0).max_affected(1)

    with pytest.raises(APIError) as caught:
        await update.execute()

    assert caught.value.code == "PGRST124"
    found = await client.table("products").select("price").eq("id", product["id"]).execute()
    assert found.data == [{"price": 12.5}]


async def test_upsert_inserts_and_then_updates(client):
    row = {"id": 77_000_001, "category_id": 1, "name": "first", "price": 1}

    first = (await client.table("products").upsert(row).execute()).data
    second = (await client.table("products").upsert({**row, "name": "second"}).execute()).data
    third = (
        await client.table("products")
        .upsert({**row, "name": "third"}, on_conflict="id", ignore_duplicates=True)
        .execute()
    ).data

    assert [first[0]["name"], second[0]["name"], third] == ["first", "second", []]
    await client.table("products").delete().eq("id", 77_000_001).execute()


async def test_update_changes_the_matching_rows_and_gives_them(client, product):
    changed = (
        await client.table("products")
        .update({"price": 99.25, "tags": ["a"], "stock": 3})
        .eq("id", product["id"])
        .execute()
    ).data
    again = await client.table("products").select("price,tags").eq("id", product["id"]).execute()

    assert changed[0]["stock"] == 3
    assert again.data == [{"price": 99.25, "tags": ["a"]}]


async def test_delete_gives_what_it_deleted(client):
    row = {"category_id": 1, "name": "short-lived", "price": 1}
    made = (await client.table("products").insert(row).execute()).data[0]

    gone = (await client.table("products").delete().eq("id", made["id"]).execute()).data
    left = (await client.table("products").select("id").eq("id", made["id"]).execute()).data

    assert [row["id"] for row in gone] == [made["id"]]
    assert left == []


async def test_a_write_is_seen_by_the_next_read_each_time(client, product):
    for price in range(1, 40):
        await client.table("products").update({"price": price}).eq("id", product["id"]).execute()
        seen = await client.table("products").select("price").eq("id", product["id"]).execute()
        assert seen.data == [{"price": price}]


async def test_json_paths_and_arrays(client):
    spoken = (
        await client.table("customers")
        .select("profile->>language")
        .eq("profile->>language", "de")
        .limit(3)
        .execute()
    )
    red = await client.table("products").select("tags").contains("tags", ["red"]).limit(5).execute()

    assert all(row == {"language": "de"} for row in spoken.data)
    assert all("red" in row["tags"] for row in red.data)


async def test_errors_are_the_ones_postgrest_gives(client):
    with pytest.raises(APIError) as no_table:
        await client.table("nothing").select("*").execute()
    with pytest.raises(APIError) as no_column:
        await client.table("orders").select("nothing").execute()
    with pytest.raises(APIError) as bad_value:
        await client.table("orders").select("id").eq("id", "seven").execute()
    row = {"id": 1, "category_id": 1, "name": "again", "price": 1}
    with pytest.raises(APIError) as duplicate:
        await client.table("products").insert(row).execute()

    assert no_table.value.code == "PGRST205"
    assert no_column.value.code == "42703"
    assert bad_value.value.code == "22P02"
    assert duplicate.value.code == "23505"


async def test_related_rows_come_within_rows(client):
    answer = (
        await client.table("orders")
        .select("id, customer:customers!inner(name, countries(name)), order_items(quantity)")
        .gt("order_items.quantity", 0)
        .ilike("customers.name", "a%")
        .order("quantity", desc=True, foreign_table="order_items")
        .limit(1, foreign_table="order_items")
        .order("id")
        .limit(10)
        .execute()
    )

    assert len(answer.data) == 10
    for row in answer.data:
        assert row["customer"]["name"].startswith("A")
        assert set(row["customer"]["countries"]) == {"name"}
        assert len(row["order_items"]) <= 1


async def test_estimated_counts_are_exact_below_the_cap_and_planned_ones_the_planners(
    client, stage
):
    few = client.table("orders").select("id", count=CountMethod.estimated).lt("id", 6)
    many = client.table("orders").select("id", count=CountMethod.planned, head=True)

    assert (await few.execute()).count == 5
    assert (await many.execute()).count > 0


async def test_csv_stripped_nulls_and_patterns(client):
    orders = client.table("orders")
    csv = (await orders.select("id,status").order("id").limit(2).csv().execute()).data
    lean = await orders.select("id,note").is_("note", "null").limit(3).strip_nulls().execute()
    named = client.table("customers").select("name").limit(9)
    any_of = (await named.ilike_any_of("name", "a%,b%").execute()).data
    searched = (
        await client.table("products").select("name").text_search("name", "chair").execute()
    ).data

    assert csv.splitlines()[0] == "id,status"
    assert [line.partition(",")[0] for line in csv.splitlines()[1:]] == ["1", "2"]
    assert all(set(row) == {"id"} for row in lean.data)
    assert all(row["name"][0] in "AaBb" for row in any_of)
    assert all("chair" in row["name"].lower() for row in searched)


async def test_related_rows_are_spread_tested_and_ordered_by(client):
    answer = (
        await client.table("orders")
        .select("id, ...customers(customer:name), items:order_items()")
        .not_.is_("items", "null")
        .order("customers(name)")
        .limit(5)
        .execute()
    )

    names = [row["customer"] for row in answer.data]
    assert len(names) == 5
    assert names == sorted(names)
    assert all(set(row) == {"id", "customer"} for row in answer.data)


async def test_plans_and_aggregates_are_off_until_the_operator_says_so(client):
    with pytest.raises(APIError) as plan:
        await client.table("orders").select("id").explain(format="json").execute()
    with pytest.raises(APIError) as aggregate:
        await client.table("orders").select("total.sum()").execute()

    assert (plan.value.code, aggregate.value.code) == ("PGRST107", "PGRST123")


async def test_functions_run_on_own_rows(client, product):
    found = (
        await client.rpc("search_products", {"term": "made by"})
        .select("id,tenant_id,categories(name)")
        .execute()
    )
    first = await client.rpc("restock", {"product": product["id"], "pieces": 3}).execute()
    second = await client.rpc("restock", {"product": product["id"], "pieces": 3}).execute()
    customer = (await client.table("orders").select("customer_id").eq("id", 1).execute()).data[0]
    spent = await client.rpc("spent", {"customer": customer["customer_id"]}, get=True).execute()
    orders = (
        await client.table("orders")
        .select("total")
        .eq("customer_id", customer["customer_id"])
        .execute()
    )

    assert [row["tenant_id"] for row in found.data] == [client.tenant]
    assert set(found.data[0]) == {"id", "tenant_id", "categories"}
    assert second.data == first.data + 3
    assert spent.data == pytest.approx(sum(row["total"] for row in orders.data))


async def test_the_service_key_gathers_from_every_shard(stage, key):
    service = key(role="service_role")
    async with AsyncPostgrestClient(f"{stage.url}/rest/v1", headers={"apikey": service}) as client:
        page = (
            await client.table("orders")
            .select("tenant_id,id,total", count=CountMethod.exact)
            .order("total", desc=True)
            .order("tenant_id")
            .order("id")
            .range(5, 24)
            .execute()
        )

    totals = [row["total"] for row in page.data]
    assert page.count == sum(stage.loaded.orders.values())
    assert len(totals) == 20
    assert totals == sorted(totals, reverse=True)
    assert {stage.loaded.home(row["tenant_id"]) for row in page.data} == set(
        stage.loaded.shard_map.homes
    )
