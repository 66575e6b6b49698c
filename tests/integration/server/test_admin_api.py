"""The admin API: the map over HTTP, and who is let in."""

import asyncio
import json
from dataclasses import replace
from urllib.parse import quote

import pytest

from router import TaskOwner, prepare_database
from server.admin import MapDoor, MovesDoor, Operators, TenantsDoor
from server.catalog import connected
from shardmap import Pin, Sharded, ShardId, TableName, TenantId, read_map, write_json, write_yaml

ORDERS = """
create table public.orders (tenant_id int not null, id int, note text, primary key (tenant_id, id));
alter table public.orders enable row level security;
"""


def admin_routes(shard_map, tasks):
    operators = Operators(lambda: shard_map, {})
    doors = (MapDoor(operators), MovesDoor(operators, tasks), TenantsDoor(operators))
    return tuple(route for door in doors for route in door.routes())


@pytest.fixture
async def site(applied, serving):
    async with TaskOwner() as tasks, serving(admin_routes(applied, tasks)) as running:
        yield running


class Operator:
    """Asks as the service role."""

    def __init__(self, site):
        self.site = site

    async def __call__(self, line, body=b"", **headers):
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        who = self.site.bearer(role="service_role", sub="ops")
        return await self.site.ask("\n".join([line, who, *lines]), body)


@pytest.fixture
def operator(site):
    return Operator(site)


def pinned(shard_map, tenant="7"):
    key = TenantId(tenant)
    return replace(shard_map, pins={key: Pin(shard_map.owner(key))})


def filled(template):
    names = {"{tenant}": "7", "{move}": "1", "{deed}": "clean"}
    for name, value in names.items():
        template = template.replace(name, value)
    return template


async def test_nobody_but_the_service_role_is_let_in(applied, site):
    callers = {
        403: [
            site.bearer(role="authenticated", tenant_id=7),
            site.bearer(role="authenticated"),
            site.bearer(role="admin", tenant_id=7),
            site.bearer(role="service_role", tenant_id=7),
            f"{site.bearer(role='service_role')}\nX-Tenant-ID: 7",
        ],
        401: ["Accept: */*"],
    }
    tag = (await Operator(site)("GET /api/v1/admin/map")).headers["etag"]
    seen = {
        (route.method, route.template, wanted): (
            await site.ask(
                f"{route.method} {filled(route.template)}?reason=x\n{who}\nIf-Match: {tag}",
                write_json(pinned(applied)).encode() if route.method != "GET" else b"",
            )
        ).status
        for route in admin_routes(applied, TaskOwner())
        for wanted, asking in callers.items()
        for who in asking
    }

    assert {key: status for key, status in seen.items() if status != key[2]} == {}
    assert read_map((await Operator(site)("GET /api/v1/admin/map")).body.decode()) == applied


async def test_the_map_is_read_with_its_tag_in_either_form(applied, operator):
    as_json = await operator("GET /api/v1/admin/map")
    as_yaml = await operator("GET /api/v1/admin/map", Accept="application/yaml")
    same = await operator("GET /api/v1/admin/map", If_None_Match=as_json.headers["etag"])
    absent = await operator("GET /api/v1/admin/map?epoch=9")

    assert read_map(as_json.body.decode()) == read_map(as_yaml.body.decode()) == applied
    assert as_yaml.body.decode() == write_yaml(applied)
    assert as_json.headers["etag"] == as_yaml.headers["etag"]
    assert (same.status, absent.status) == (304, 404)


async def test_a_change_names_the_map_that_it_was_made_from(applied, operator):
    tag = (await operator("GET /api/v1/admin/map")).headers["etag"]
    body = write_yaml(pinned(applied)).encode()

    unreasoned = await operator("PUT /api/v1/admin/map", body, If_Match=tag)
    missing = await operator("PUT /api/v1/admin/map?reason=pin", body)
    done = await operator("PUT /api/v1/admin/map?reason=seven+stays", body, If_Match=tag)
    stale = await operator("PUT /api/v1/admin/map?reason=again", body, If_Match=tag)
    newest = await operator("GET /api/v1/admin/map")
    history = json.loads((await operator("GET /api/v1/admin/map/history")).body)
    audit = json.loads((await operator("GET /api/v1/admin/audit?action=map&limit=1")).body)

    assert [one.status for one in (unreasoned, missing, done, stale)] == [400, 428, 200, 412]
    assert json.loads(unreasoned.body)["code"] == "ARGUMENT_INVALID"
    assert json.loads(done.body)["epoch"] == 2
    assert newest.headers["etag"] == done.headers["etag"] == stale.headers["etag"] != tag
    assert read_map(newest.body.decode()).pins.keys() == {"7"}
    assert (history[0]["author"], history[0]["reason"]) == ("sub:ops", "seven stays")
    assert [(one["via"], one["actor"], one["subject"]) for one in audit] == [
        ("api", "sub:ops", "epoch 2")
    ]


async def test_what_is_wrong_with_a_change_is_said_and_nothing_happens(applied, operator):
    tag = (await operator("GET /api/v1/admin/map")).headers["etag"]
    shard = applied.shards["shard_1"]
    absent = replace(
        shard, id=ShardId("shard_2"), primary=replace(shard.primary, name="x", host="/nowhere"), replicas=()
    )  # fmt: skip
    joining = replace(applied, shards={**applied.shards, "shard_2": absent})

    invalid = await operator("PUT /api/v1/admin/map?reason=x", b"version: 1", If_Match=tag)
    unproved = await operator(
        "PUT /api/v1/admin/map?reason=x", write_json(joining).encode(), If_Match=tag
    )
    twice = await operator("GET /api/v1/admin/map?epoch=1&epoch=2")

    moving = await operator(
        "PUT /api/v1/admin/map?reason=x",
        write_json(replace(applied, slots=(ShardId("shard_0"),) * 4096)).encode(),
        If_Match=tag,
    )

    assert [one.status for one in (invalid, unproved, twice, moving)] == [400] * 4
    assert "tenants would change their home" in json.loads(moving.body)["message"]
    assert json.loads(invalid.body)["code"] == "M102"
    assert "does not answer, and has to prove who it is" in json.loads(unproved.body)["message"]
    assert (await operator("GET /api/v1/admin/map")).headers["etag"] == tag


async def test_plans_differences_and_tenants_are_data(
    applied, operator, fluxshard, document, databases
):
    await databases.execute(ORDERS, "shard_0", "shard_1")
    placed = replace(applied, tables={TableName("public.orders"): Sharded("tenant_id")})
    await fluxshard("map", "apply", document(placed), "--reason", "place", "--yes")
    own = next(
        TenantId(str(one)) for one in range(99) if placed.owner(TenantId(str(one))) == "shard_1"
    )
    await databases.execute(
        f"insert into orders select {own}, id, repeat('x', 100) from generate_series(1, 300) id;",
        "shard_1",
    )
    await databases.execute(f"insert into orders values ({own}, 1, 'left over')", "shard_0")
    emptied = write_json(replace(placed, epoch=2, slots=(ShardId("shard_0"),) * 4096)).encode()

    plan = json.loads((await operator("POST /api/v1/admin/map/plan", emptied)).body)
    diff = json.loads((await operator("GET /api/v1/admin/map/diff?a=1")).body)
    listed = json.loads((await operator("GET /api/v1/admin/tenants")).body)
    shown = json.loads((await operator(f"GET /api/v1/admin/tenants/{quote(own)}")).body)
    nobody = await operator("GET /api/v1/admin/tenants/x")
    schema = json.loads((await operator("GET /api/v1/admin/map/schema")).body)

    assert (plan["estimate"]["tenants"], plan["estimate"]["rows"]) == (1, 300)
    assert plan["changes"]["slots"][0]["count"] == 2048
    assert diff["edits"][0]["path"] == "tables.public.orders"
    assert [(one["tenant"], one["shard"], one["rows"]) for one in listed["tenants"]] == [
        (own, "shard_1", 300)
    ]
    assert listed["shards"]["shard_1"]["rows"] == 300
    assert (shown["unit"], shown["unit_epoch"]) == ("slot", 1)
    assert shown["tables"]["public.orders"]["rows"] == 300
    assert nobody.status == 400
    assert schema["title"] == "Fluxshard shard map"


async def test_moves_are_begun_followed_and_cleaned(
    applied, operator, site, fluxshard, document, databases
):
    await databases.execute(ORDERS, "shard_0", "shard_1")
    for shard in applied.shards.values():
        async with connected(shard.primary, {}) as session:
            await prepare_database(session, number=applied.number(shard.id))
    placed = replace(applied, tables={TableName("public.orders"): Sharded("tenant_id")})
    await fluxshard("map", "apply", document(placed), "--reason", "place", "--yes")
    keys = (TenantId(str(one)) for one in range(99))
    tenant = next(one for one in keys if placed.owner(one) == "shard_1")
    await databases.execute(
        f"insert into orders select {tenant}, id, 'x' from generate_series(1, 30) id", "shard_1"
    )
    wanted = {"to": "shard_0", "tenants": [tenant], "reason": "its own"}

    async with site.client() as listener:
        listener.send(
            "GET /api/v1/admin/moves/events HTTP/1.1\r\nHost: x\r\n"
            f"{site.bearer(role='service_role')}\r\n\r\n"
        )
        head = await listener.reader.readuntil(b": moves\n\n")
        dry = await operator("POST /api/v1/admin/moves", body_of(wanted | {"dry_run": True}))
        begun = await operator("POST /api/v1/admin/moves", body_of(wanted))
        again = await operator("POST /api/v1/admin/moves", body_of(wanted))
        (move,) = json.loads(begun.body)["moves"]
        followed = await listener.reader.readuntil(b'"state":"moved"')
    shown = json.loads((await operator(f"GET /api/v1/admin/moves/{move['id']}")).body)
    verified = await operator(f"POST /api/v1/admin/moves/{move['id']}/verify")
    aborted = await operator(
        f"POST /api/v1/admin/moves/{move['id']}/abort", body_of({"reason": "too late"})
    )
    cleaned = await operator(
        f"POST /api/v1/admin/moves/{move['id']}/clean", body_of({"reason": "sure"})
    )
    await ended(operator, move["id"])
    listed = json.loads((await operator("GET /api/v1/admin/moves")).body)
    absent = await operator("GET /api/v1/admin/moves/99")
    wrong = await operator("POST /api/v1/admin/moves", body_of({"to": "shard_0", "reason": "x"}))
    audit = json.loads((await operator("GET /api/v1/admin/audit?action=move")).body)

    assert b"Content-Type: text/event-stream" in head
    assert b"event: move" in followed
    assert json.loads(dry.body)["plans"][0]["target"] == "shard_0"
    assert [one.status for one in (dry, begun, again, cleaned, absent, wrong)] == [
        200, 202, 409, 202, 404, 400,
    ]  # fmt: skip
    assert json.loads(again.body)["details"]["code"] == "V101"
    assert (shown["state"], shown["steps"][0]["state"]) == ("moved", "planned")
    assert json.loads(verified.body)["differences"] == []
    assert json.loads(aborted.body)["details"]["code"] == "V103"
    assert [(one["id"], one["state"]) for one in listed] == [(move["id"], "cleaned")]
    assert [one["action"] for one in audit] == ["move clean", "move"]


def body_of(document):
    return json.dumps(document).encode()


async def ended(operator, move):
    async with asyncio.timeout(60):
        while True:
            found = json.loads((await operator(f"GET /api/v1/admin/moves/{move}")).body)
            if found["state"] == "cleaned":
                return
            await asyncio.sleep(0.05)
