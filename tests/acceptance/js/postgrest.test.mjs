// The unmodified npm client @supabase/postgrest-js against the demonstration.
// URL, TENANTS (JSON: [{tenant, key, orders}]) come from the environment.
import assert from "node:assert/strict";
import { test } from "node:test";
import { PostgrestClient } from "@supabase/postgrest-js";

const url = process.env.FLUXSHARD_URL;

for (const { tenant, key, orders } of JSON.parse(process.env.FLUXSHARD_TENANTS)) {
  const client = new PostgrestClient(url, {
    headers: { apikey: key, Authorization: `Bearer ${key}` },
  });

  const ok = async (query) => {
    const answer = await query;
    assert.equal(answer.error, null, JSON.stringify(answer.error));
    return answer;
  };

  test(`tenant ${tenant}: select gives own rows`, async () => {
    const { data } = await ok(client.from("orders").select("id, tenant_id").limit(5));
    assert.equal(data.length, 5);
    assert.deepEqual(new Set(data.map((row) => row.tenant_id)), new Set([tenant]));
  });

  test(`tenant ${tenant}: eq, in, or, gt, not`, async () => {
    const one = await ok(client.from("orders").select("id").eq("id", 3));
    assert.deepEqual(one.data, [{ id: 3 }]);
    const some = await ok(client.from("orders").select("id").in("id", [1, 2]).order("id"));
    assert.deepEqual(some.data, [{ id: 1 }, { id: 2 }]);
    const either = await ok(client.from("orders").select("id").or("id.eq.1,id.eq.7").order("id"));
    assert.deepEqual(either.data, [{ id: 1 }, { id: 7 }]);
    const dear = await ok(client.from("orders").select("total").gt("total", 1000).limit(9));
    assert.ok(dear.data.every((row) => row.total > 1000));
    const without = await ok(client.from("orders").select("note").not("note", "is", null).limit(9));
    assert.ok(without.data.every((row) => row.note !== null));
  });

  test(`tenant ${tenant}: order and range`, async () => {
    const whole = await ok(
      client.from("orders").select("id").order("id", { ascending: false }).limit(30),
    );
    const page = await ok(
      client.from("orders").select("id").order("id", { ascending: false }).range(10, 19),
    );
    assert.deepEqual(page.data, whole.data.slice(10, 20));
  });

  test(`tenant ${tenant}: exact count, with rows and alone`, async () => {
    const { count } = await ok(client.from("orders").select("id", { count: "exact" }).limit(1));
    assert.equal(count, orders);
    const head = await ok(client.from("orders").select("*", { count: "exact", head: true }));
    assert.equal(head.count, orders);
  });

  test(`tenant ${tenant}: single and maybeSingle`, async () => {
    const one = await ok(client.from("orders").select("id").eq("id", 1).single());
    assert.deepEqual(one.data, { id: 1 });
    const none = await ok(client.from("orders").select("id").eq("id", -1).maybeSingle());
    assert.equal(none.data, null);
    const many = await client.from("orders").select("id").lt("id", 5).single();
    assert.equal(many.status, 406);
    assert.equal(many.error.code, "PGRST116");
  });

  test(`tenant ${tenant}: insert, upsert, update, delete`, async () => {
    const row = { category_id: 1, name: "by js", price: 2.5, tags: ["a", 'b"c', "d,e"] };
    const made = await ok(client.from("products").insert(row).select().single());
    assert.equal(made.status, 201);
    assert.equal(made.data.tenant_id, tenant);
    assert.deepEqual(made.data.tags, row.tags);
    const { id } = made.data;
    const quiet = await ok(client.from("products").insert({ ...row, name: "quiet" }));
    assert.equal(quiet.data, null);
    const upserted = await ok(
      client.from("products").upsert({ id, category_id: 1, name: "upserted", price: 3 }).select(),
    );
    assert.deepEqual([upserted.status, upserted.data[0].name], [200, "upserted"]);
    const held = await client.from("products").delete().eq("id", id).maxAffected(0);
    assert.deepEqual([held.status, held.error.code], [400, "PGRST124"]);
    const updated = await ok(
      client.from("products").update({ price: 4 }).eq("id", id).select("id,price"),
    );
    assert.deepEqual(updated.data, [{ id, price: 4 }]);
    const seen = await ok(client.from("products").select("price").eq("id", id));
    assert.deepEqual(seen.data, [{ price: 4 }]);
    const gone = await ok(client.from("products").delete().in("name", ["upserted", "quiet"]).select());
    assert.equal(gone.data.length, 2);
  });

  test(`tenant ${tenant}: related rows within rows`, async () => {
    const { data } = await ok(
      client
        .from("orders")
        .select("id, customer:customers!inner(name, tenant_id), order_items(quantity, products(name))")
        .order("id", { ascending: false, referencedTable: "order_items" })
        .limit(2, { referencedTable: "order_items" })
        .order("customers(name)")
        .limit(5),
    );
    assert.equal(data.length, 5);
    for (const row of data) {
      assert.equal(row.customer.tenant_id, tenant);
      assert.ok(row.order_items.length <= 2);
      assert.ok(row.order_items.every((item) => item.quantity > 0 && item.products.name));
    }
    const unrelated = await client.from("orders").select("id, nothing(id)");
    assert.equal(unrelated.error.code, "PGRST200");
  });

  test(`tenant ${tenant}: other counts, csv, patterns, spread, plans`, async () => {
    const few = await ok(client.from("orders").select("id", { count: "estimated" }).lt("id", 6));
    assert.equal(few.count, 5);
    const many = await ok(client.from("orders").select("*", { count: "planned", head: true }));
    assert.ok(many.count > 0);
    const csv = await ok(client.from("orders").select("id").order("id").limit(2).csv());
    assert.equal(csv.data, "id\n1\n2");
    const some = await ok(
      client.from("customers").select("name").ilikeAnyOf("name", ["a%", "b%"]).limit(9),
    );
    assert.ok(some.data.every(({ name }) => "AaBb".includes(name[0])));
    const spread = await ok(
      client.from("orders").select("id, ...customers(customer:name)").order("id").limit(2),
    );
    assert.deepEqual(Object.keys(spread.data[0]), ["id", "customer"]);
    const plan = await client.from("orders").select("id").explain({ format: "json" });
    assert.equal(plan.error.code, "PGRST107");
  });

  test(`tenant ${tenant}: bulk insert and errors`, async () => {
    const rows = [1, 2, 3].map((n) => ({ category_id: 2, name: `bulk js ${n}`, price: n }));
    const made = await ok(client.from("products").insert(rows).select("name"));
    assert.deepEqual(made.data, rows.map(({ name }) => ({ name })));
    const uneven = await ok(
      client
        .from("products")
        .insert([rows[0], { ...rows[1], stock: 7 }], { defaultToNull: false })
        .select("name,stock"),
    );
    assert.deepEqual(uneven.data, [
      { name: "bulk js 1", stock: 0 },
      { name: "bulk js 2", stock: 7 },
    ]);
    await ok(client.from("products").delete().like("name", "bulk js %"));
    const missing = await client.from("nothing").select();
    assert.equal(missing.status, 404);
    assert.equal(missing.error.code, "PGRST205");
    const foreign = await client.from("products").insert({ ...rows[0], tenant_id: tenant + 1 });
    assert.equal(foreign.status, 403);
  });
}
