"""Interactive transactions over a WebSocket: one socket, one shard, nothing left behind."""

import asyncio
from contextlib import suppress

import aiohttp
import pytest

INSERT = "INSERT INTO orders (tenant_id, id, note) VALUES ($1, $2, $3)"


async def ids(door, tenant):
    sql = "SELECT id FROM orders WHERE tenant_id = $1 ORDER BY id"
    return [row[0] for row in await door.rows(sql, [tenant])]


async def free(door, eventually):
    """Wait until no connection is in use."""

    def settled():
        return all(
            endpoint.in_flight == 0 and endpoint.connections == endpoint.idle
            for shard in door.backends.status()
            for endpoint in shard.endpoints
        )

    await eventually(settled)


async def test_statements_are_told_one_at_a_time_and_committed(served, door):
    async with served.socket() as say:
        told = await say(INSERT, params=[door.A, 1, "x"], id="first")
        assert (told["id"], told["transaction"], told["row_count"]) == ("first", "open", 1)
        told = await say("SELECT note FROM orders WHERE tenant_id = $1", params=[door.A])
        assert told["rows"] == [["x"]]
        assert await ids(door, door.A) == []

        assert await say({"commit": True, "id": 9}) == {"id": 9, "transaction": "committed"}
        assert await say.closed() == 1000

    assert await ids(door, door.A) == [1]


async def test_a_rollback_undoes_everything(served, door, eventually):
    async with served.socket() as say:
        await say(INSERT, params=[door.A, 1, "x"])
        assert await say({"rollback": True}) == {"transaction": "rolled back"}
        assert await say.closed() == 1000

    assert await ids(door, door.A) == []
    await free(door, eventually)


async def test_a_client_that_leaves_has_its_transaction_rolled_back(served, door, eventually):
    async with served.socket() as say:
        await say(INSERT, params=[door.A, 1, "x"])

    await free(door, eventually)
    assert await ids(door, door.A) == []


async def test_a_client_that_is_cut_off_within_a_statement_has_it_cancelled(
    served, door, eventually
):
    slow = "SELECT count(*) FROM generate_series(1, 100000000) AS g"
    async with served.socket() as say:
        await say(INSERT, params=[door.A, 1, "x"])
        await say.socket.send_json({"sql": slow})
        say.socket._response.connection.transport.abort()

    await free(door, eventually)
    assert await ids(door, door.A) == []


async def test_a_second_shard_is_refused_and_the_transaction_goes_on(served, door):
    async with served.socket() as say:
        await say(INSERT, params=[door.A, 1, "x"])
        told = await say(INSERT, params=[door.B, 1, "x"])
        assert (told["error"]["code"], told["transaction"]) == ("P120", "open")
        assert (await say({"commit": True}))["transaction"] == "committed"

    assert await ids(door, door.A) == [1]


async def test_a_statement_that_fails_ends_it_and_it_cannot_be_committed(served, door):
    async with served.socket() as say:
        await say(INSERT, params=[door.A, 1, "x"])
        told = await say(INSERT, params=[door.A, 1, "again"])
        assert (told["error"]["code"], told["transaction"]) == ("DUPLICATE_KEY", "failed")
        told = await say("SELECT 1")
        assert (told["error"]["code"], told["transaction"]) == ("P122", "failed")
        told = await say({"commit": True})
        assert (told["error"]["code"], told["transaction"]) == ("P122", "failed")
        assert await say.closed() == 1000

    assert await ids(door, door.A) == []


@pytest.mark.parametrize(
    "message",
    [
        "nonsense",
        "[]",
        {},
        {"sql": 5},
        {"commit": False},
        {"commit": True, "rollback": True},
        {"sql": "SELECT 1", "surprise": 1},
        {"commit": True, "sql": "SELECT 1"},
    ],
)
async def test_a_message_of_another_form_changes_nothing(served, door, message):
    async with served.socket() as say:
        await say(INSERT, params=[door.A, 1, "x"])
        if isinstance(message, str):
            await say.socket.send_str(message)
            told = await say.hear()
        else:
            told = await say(message)
        assert (told["error"]["code"], told["transaction"]) == ("INVALID_INPUT", "open")
        assert (await say({"commit": True}))["transaction"] == "committed"


async def test_a_tenant_is_held_to_its_rows(served, door):
    await door(INSERT, [door.A2, 1, "other"])

    async with served.socket(tenant=door.A) as say:
        await say("INSERT INTO orders (id, note) VALUES (1, 'own')")
        told = await say("UPDATE orders SET note = 'changed' RETURNING tenant_id")
        assert told["rows"] == [[door.A]]
        told = await say("SELECT 1 FROM orders WHERE tenant_id = $1", params=[door.A2])
        assert (told["error"]["code"], told["error"]["status"]) == ("P151", 403)
        await say({"commit": True})

    sql = "SELECT note FROM orders WHERE tenant_id = $1"
    assert await door.rows(sql, [door.A2]) == [["other"]]


async def test_isolation_and_read_only_are_of_the_url(served, door):
    async with served.socket("?isolation=repeatable%20read&read_only=true&format=json") as say:
        sql = "SELECT count(*) AS n FROM orders WHERE tenant_id = $1"
        assert (await say(sql, params=[door.A]))["rows"] == [{"n": 0}]
        await door(INSERT, [door.A, 1, "x"])
        assert (await say(sql, params=[door.A]))["rows"] == [{"n": 0}]
        told = await say(INSERT, params=[door.A, 2, "x"])
        assert told["error"]["code"] == "P121"


async def test_a_transaction_that_is_silent_for_too_long_is_rolled_back(door, served, eventually):
    site = type(served)(door, f"{served.path}2")
    async with site.open(idle_s=0.2), site.socket() as say:
        await say(INSERT, params=[door.A, 1, "x"])
        assert await say.closed() == 4000

    await free(door, eventually)
    assert await ids(door, door.A) == []


async def test_a_transaction_that_lasts_too_long_is_rolled_back(door, served, eventually):
    site = type(served)(door, f"{served.path}2")
    async with site.open(lifetime_s=0.4), site.socket() as say:
        await say(INSERT, params=[door.A, 1, "x"])
        assert await say.closed() == 4001

    await free(door, eventually)
    assert await ids(door, door.A) == []


async def test_no_more_sockets_than_allowed_are_accepted(served, door):
    async with served.socket(), served.socket():
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with served.socket():
                pass
    assert refused.value.status == 503


async def test_the_token_may_be_in_the_url(served, door):
    url = f"http://x/api/v1/sql/transaction?token={served.token(door.A)}"
    async with served.client() as client, client.ws_connect(url) as socket:
        await socket.send_json({"sql": "SELECT 1 AS one"})
        assert (await socket.receive_json())["rows"] == [[1]]


async def test_without_a_token_or_an_upgrade_there_is_no_socket(served, door):
    async with served.client() as client:
        reply = await client.get("http://x/api/v1/sql/transaction")
        assert reply.status == 401
        headers = {"Authorization": f"Bearer {served.token()}"}
        reply = await client.get("http://x/api/v1/sql/transaction", headers=headers)
        assert (reply.status, (await reply.json())["code"]) == (400, "REQUEST_MALFORMED")
        reply = await client.post("http://x/api/v1/sql", headers=headers, json={"sql": "SELECT 1"})
        assert (await reply.json())["rows"] == [[1]]


async def test_a_server_that_ends_lets_the_statement_end_and_says_good_bye(
    served, door, eventually
):
    async with served.socket() as say:
        await say(INSERT, params=[door.A, 1, "x"])
        assert served.lifecycle.in_flight == 1
        served.connections.pre_shutdown()
        assert await say.closed() == 1001

    await eventually(lambda: served.lifecycle.in_flight == 0)
    await free(door, eventually)
    assert await ids(door, door.A) == []


async def test_pings_are_answered_and_large_messages_end_the_socket(served, door, eventually):
    async with served.socket() as say:
        await say.socket.ping(b"hello")
        assert (await say(INSERT, params=[door.A, 1, "x"]))["row_count"] == 1
        with suppress(ConnectionError):  # the server may leave before it has read all
            await say.socket.send_str("x" * (2 * 1024 * 1024))
        assert await say.closed() in {1006, 1009}

    await free(door, eventually)
    assert await ids(door, door.A) == []


async def test_transactions_of_several_sockets_do_not_see_each_other(served, door):
    async with served.socket() as one, served.socket() as other:
        await one(INSERT, params=[door.A, 1, "x"])
        told = await other("SELECT id FROM orders WHERE tenant_id = $1", params=[door.A])
        assert told["rows"] == []
        await asyncio.gather(one({"commit": True}), other({"rollback": True}))

    assert await ids(door, door.A) == [1]
