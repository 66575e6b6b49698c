import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from bench.http import Connection

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Served-By: s/a\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"


@asynccontextmanager
async def serving(answer):
    """A server whose connections are answered by `answer`; the port. Ends when all have ended."""
    ended = []

    async def serve(reader, writer):
        done = asyncio.Event()
        ended.append(done)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await answer(reader, writer)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        finally:
            done.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for done in ended:
            await done.wait()


async def asked(*answers, pieces=1, times=1):
    """What a connection gets from a server that says this."""
    left = list(answers)

    async def say(reader, writer):
        while left:
            await reader.readuntil(b"\r\n\r\n")
            answer = left.pop(0)
            if answer is None:
                break
            for at in range(0, len(answer), max(1, len(answer) // pieces)):
                writer.write(answer[at : at + max(1, len(answer) // pieces)])
                await writer.drain()
                await asyncio.sleep(0)

    async with serving(say) as port:
        connection = Connection("127.0.0.1", port)
        found = [await connection.ask(b"GET / HTTP/1.1\r\n\r\n") for _ in range(times)]
        connection.close()
    return found


@pytest.mark.parametrize("answer", [OK, CHUNKED], ids=["length", "chunks"])
@pytest.mark.parametrize("pieces", [1, 7, 1000])
async def test_a_response_is_whole_however_it_comes(answer, pieces):
    (reply,) = await asked(answer, pieces=pieces)

    assert (reply.status, reply.body) == (200, b"hello")


async def test_headers_are_found_by_name():
    (reply,) = await asked(OK)

    assert reply.header(b"x-served-by") == "s/a"
    assert reply.header(b"x-served") == ""


async def test_one_connection_asks_again_and_again():
    replies = await asked(OK, EMPTY, OK, times=3)

    assert [reply.status for reply in replies] == [200, 204, 200]


async def test_a_connection_that_breaks_is_an_answer_and_the_next_request_connects_anew():
    replies = await asked(None, OK, times=2)

    assert [reply.status for reply in replies] == [0, 200]
    assert replies[0].body == b"broken"


async def test_who_does_not_listen_is_an_answer_too():
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()

    reply = await Connection("127.0.0.1", port).ask(b"GET / HTTP/1.1\r\n\r\n")

    assert (reply.status, reply.body) == (0, b"ConnectionRefusedError")


async def test_a_request_out_of_time_is_given_up():
    async def wait(reader, _):
        await reader.read()

    async with serving(wait) as port:
        connection = Connection("127.0.0.1", port, timeout_s=5)
        asking = asyncio.ensure_future(connection.ask(b"GET / HTTP/1.1\r\n\r\n"))
        while not asking.done():
            connection.expire(float("inf"))
            await asyncio.sleep(0)

        assert (await asking).body == b"timeout"
