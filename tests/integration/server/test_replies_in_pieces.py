"""Responses whose bodies come in pieces, seen as bytes on a socket."""

import asyncio

import pytest

from router import ShardDown
from server.exchange import Reply
from server.observe.facts import AnswerBroken, RequestAnswered, RequestCrashed
from server.routes import Entry, Route
from server.settings import HttpSettings
from shardmap import ShardId

WAIT_S = 60
PIECE = b"x" * 300_000


class Body:
    """A body of pieces; an exception among them is raised, an event is waited for."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)
        self.asked = 0
        self.closed = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.pieces:
            raise StopAsyncIteration
        self.asked += 1
        piece = self.pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        if isinstance(piece, asyncio.Event):
            await piece.wait()
            return b"waited"
        return piece

    async def close(self):
        self.closed += 1


def serve(serving, body, headers=(), **http):
    async def handler(_request):
        return Reply(200, b"", "text/plain", headers, pieces=body)

    async def hello(_request):
        return Reply(200, b"hello", "text/plain")

    routes = (
        Route("GET", "/pieces", handler, entry=Entry.OPEN),
        Route("GET", "/hello", hello, entry=Entry.OPEN),
    )
    return serving(routes, http=HttpSettings(**http) if http else None)


def answered(site):
    return [fact for fact in site.facts if isinstance(fact, RequestAnswered)]


async def read_all(client):
    async with asyncio.timeout(WAIT_S):
        return await client.reader.read()


async def head(client):
    async with asyncio.timeout(WAIT_S):
        text = await client.reader.readuntil(b"\r\n\r\n")
    return text.decode().split("\r\n")


async def chunks(client):
    """The chunks up to the last one, which is empty."""
    found = []
    async with asyncio.timeout(WAIT_S):
        while not found or found[-1]:
            size = int(await client.reader.readuntil(b"\r\n"), 16)
            found.append((await client.reader.readexactly(size + 2))[:-2])
    return found[:-1]


ASK = b"GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_pieces_are_sent_in_chunks_and_the_connection_goes_on(serving):
    body = Body(b"one", b"", b"two")
    async with serve(serving, body) as site, site.client() as client:
        client.send(ASK)
        lines = await head(client)
        sent = await chunks(client)
        again = await client.ask("GET /hello")

    assert lines[0] == "HTTP/1.1 200 OK"
    assert "Transfer-Encoding: chunked" in lines
    assert not any(line.startswith("Content-Length") for line in lines)
    assert sent == [b"one", b"two"]
    assert again.body == b"hello"
    assert body.closed == 1


async def test_a_client_of_http_1_0_gets_the_body_until_the_end_of_the_connection(serving):
    body = Body(b"one", b"two")
    async with serve(serving, body) as site, site.client() as client:
        client.send(b"GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        lines = await head(client)
        rest = await read_all(client)

    assert lines[0] == "HTTP/1.0 200 OK"
    assert "Connection: close" in lines
    assert not any(line.startswith(("Transfer", "Content-Length")) for line in lines)
    assert rest == b"onetwo"


async def test_head_has_no_body_and_frees_it(serving):
    body = Body(b"one")
    async with serve(serving, body) as site, site.client() as client:
        response = await client.ask("HEAD /pieces")
        again = await client.ask("GET /hello")

    assert response.status == 200
    assert "transfer-encoding" not in response.headers
    assert again.body == b"hello"
    assert (body.asked, body.closed) == (0, 1)
    assert len(answered(site)) == 2


async def test_a_request_is_accounted_for_when_its_last_piece_is_sent(serving):
    going_on = asyncio.Event()
    async with serve(serving, Body(b"12345", going_on)) as site, site.client() as client:
        client.send(ASK)
        await head(client)
        assert (await client.reader.readexactly(10)) == b"5\r\n12345\r\n"
        before = (site.lifecycle.in_flight, answered(site))
        going_on.set()
        fact = await site.seen(lambda fact: isinstance(fact, RequestAnswered))

    assert before == (1, [])
    assert site.lifecycle.in_flight == 0
    assert (fact.status, fact.response_bytes, fact.code) == (200, 11, None)


async def test_the_drain_waits_for_the_last_piece_and_ends_the_connection(serving):
    going_on = asyncio.Event()
    async with serve(serving, Body(b"1", going_on)) as site, site.client() as client:
        site.lifecycle.draining = True
        client.send(ASK)
        assert "Connection: close" in await head(client)
        settled = asyncio.create_task(site.lifecycle.settled())
        await asyncio.sleep(0)
        waiting = not settled.done()
        going_on.set()
        async with asyncio.timeout(WAIT_S):
            await settled
        rest = await read_all(client)

    assert waiting
    assert rest.endswith(b"0\r\n\r\n")


async def test_a_failure_on_the_way_breaks_the_body_off_and_is_told(serving):
    body = Body(b"one", ShardDown(ShardId("s1"), "s1 is gone"))
    async with serve(serving, body) as site, site.client() as client:
        client.send(ASK)
        await head(client)
        rest = await read_all(client)
        await site.seen(lambda fact: isinstance(fact, RequestAnswered))

    assert not rest.endswith(b"0\r\n\r\n")
    assert body.closed == 1
    (broken,) = [fact for fact in site.facts if isinstance(fact, AnswerBroken)]
    assert (broken.route, broken.code, broken.sent_bytes) == ("/pieces", "P202", 3)
    (fact,) = answered(site)
    assert (fact.status, fact.code) == (200, "P202")
    assert site.lifecycle.in_flight == 0
    assert not any(isinstance(fact, RequestCrashed) for fact in site.facts)


async def test_a_mistake_of_our_own_on_the_way_is_told_as_one(serving):
    async with serve(serving, Body(b"one", ZeroDivisionError())) as site, site.client() as client:
        client.send(ASK)
        await head(client)
        rest = await read_all(client)
        await site.seen(lambda fact: isinstance(fact, RequestCrashed))

    assert not rest.endswith(b"0\r\n\r\n")


async def test_over_tcp_a_body_that_is_broken_off_ends_in_a_reset(serving):
    """For HTTP/1.0 an ordinary end would mean that the body is whole."""
    body = Body(b"one", asyncio.Event())
    async with serve(serving, body) as site:
        server = await asyncio.get_running_loop().create_server(site.connections, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /pieces HTTP/1.0\r\n\r\n")
        await reader.readuntil(b"one")
        (protocol,) = site.connections.connections

        protocol.break_off()
        with pytest.raises(ConnectionResetError):
            await read_all(type("Client", (), {"reader": reader}))
        writer.close()
        server.close()


async def test_a_client_that_leaves_frees_the_body(serving):
    body = Body(b"one", asyncio.Event())
    async with serve(serving, body) as site:
        async with site.client() as client:
            client.send(ASK)
            await head(client)
        fact = await site.seen(lambda fact: isinstance(fact, RequestAnswered))

    assert fact.status == 499
    assert body.closed == 1
    assert not any(isinstance(fact, AnswerBroken) for fact in site.facts)


async def test_no_piece_is_asked_for_before_the_client_takes_those_before(serving, eventually):
    body = Body(*[PIECE] * 100)
    async with serve(serving, body) as site, site.client() as client:
        client.writer.transport.pause_reading()
        client.send(ASK)
        (connection,) = await _connections(site)
        await eventually(lambda: connection.writing_paused)
        asked = body.asked
        for _ in range(50):
            await asyncio.sleep(0)
        assert body.asked == asked < 10
        client.writer.transport.resume_reading()
        await head(client)
        sent = await chunks(client)

    assert sent == [PIECE] * 100


async def _connections(site):
    async with asyncio.timeout(WAIT_S):
        while not site.connections.connections:  # noqa: ASYNC110 - a list of aiohttp's
            await asyncio.sleep(0)
    return site.connections.connections


async def test_a_client_that_takes_nothing_is_cut_off(serving):
    body = Body(*[PIECE] * 100)
    async with serve(serving, body, write_timeout_s=0.1) as site, site.client() as client:
        client.writer.transport.pause_reading()
        client.send(ASK)
        fact = await site.seen(lambda fact: isinstance(fact, RequestAnswered))

    assert fact.status == 499
    assert body.closed == 1


async def test_a_head_that_cannot_be_sent_frees_the_body(serving):
    body = Body(b"one")
    async with serve(serving, body, (("X-A", "b\r\nc"),)) as site:
        response = await site.ask("GET /pieces")

    assert response.status == 500
    assert (body.asked, body.closed) == (0, 1)
    assert [fact.status for fact in answered(site)] == [500]


async def test_a_declined_upgrade_gets_its_pieces_too(serving):
    body = Body(b"one")
    async with serve(serving, body) as site, site.client() as client:
        client.send(
            b"GET /pieces HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        lines = await head(client)
        sent = await chunks(client)

    assert lines[0] == "HTTP/1.1 200 OK"
    assert sent == [b"one"]
    assert body.closed == 1
