"""The SQL API of a whole server, as its clients meet it."""

import aiohttp
import pytest

SQL = "/api/v1/sql"


@pytest.fixture
def service(key):
    return {"Authorization": f"Bearer {key(role='service_role')}"}


async def test_the_service_asks_all_shards_and_one(api, service, tenants):
    counted = await api.post(SQL, headers=service, json={"sql": "SELECT count(*) AS n FROM orders"})
    own = await api.post(
        SQL,
        headers=service,
        json={
            "sql": "SELECT tenant_id, count(*) FROM orders WHERE tenant_id = $1 GROUP BY 1",
            "params": [tenants[0]],
        },
    )

    assert counted.status_code == own.status_code == 200, (counted.text, own.text)
    assert counted.json()["columns"] == [{"name": "n", "type": "int8"}]
    (row,) = own.json()["rows"]
    assert row[0] == tenants[0]
    assert counted.json()["rows"][0][0] > row[1] > 0


async def test_a_tenants_key_is_refused_unless_a_setting_lets_it_in(api, key, tenants):
    headers = {"Authorization": f"Bearer {key(tenants[0])}"}

    reply = await api.post(SQL, headers=headers, json={"sql": "SELECT 1"})

    assert (reply.status_code, reply.json()["code"]) == (403, "SQL_NOT_ENABLED")


async def test_a_refusal_has_the_routers_code_and_the_requests_id(api, service):
    reply = await api.post(SQL, headers=service, json={"sql": "DROP TABLE orders"})

    assert reply.status_code == 400
    assert reply.json()["code"] == "P100"
    assert reply.json()["request_id"] == reply.headers["X-Request-ID"]


async def test_a_service_key_with_a_tenant_is_held_to_it(api, service, tenants):
    headers = {**service, "X-Tenant-ID": str(tenants[1])}

    reply = await api.post(
        SQL, headers=headers, json={"sql": "SELECT DISTINCT tenant_id FROM orders"}
    )

    assert reply.json()["rows"] == [[tenants[1]]]


async def test_a_transaction_over_a_socket_is_rolled_back_unless_committed(
    stage, api, service, tenants
):
    count = {"sql": "SELECT count(*) FROM orders WHERE tenant_id = $1", "params": [tenants[0]]}
    before = (await api.post(SQL, headers=service, json=count)).json()["rows"]

    async with (
        aiohttp.ClientSession(headers=service) as client,
        client.ws_connect(f"{stage.url}{SQL}/transaction") as socket,
    ):
        delete = {"sql": "DELETE FROM orders WHERE tenant_id = $1", "params": [tenants[0]]}
        await socket.send_json(delete)
        told = await socket.receive_json()
        await socket.send_json({"rollback": True})
        ended = await socket.receive_json()

    assert told["transaction"] == "open" or "error" in told
    assert ended == {"transaction": "rolled back"}
    assert (await api.post(SQL, headers=service, json=count)).json()["rows"] == before
