"""Links do to what passes them what they are told, and heal without a trace."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from bench.network import Conditions, Link, Way, free_ports, open_network

LIMIT_S = 20
SILENT_S = 0.3
"""How long nothing has to come for us to say that nothing comes."""


async def _echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


@asynccontextmanager
async def echoing():
    """A server that sends back what it gets, behind a link; the network and the link's port."""
    here, there = free_ports(2)
    server = await asyncio.start_server(_echo, "127.0.0.1", there)
    async with server, open_network([Link("x", here, "127.0.0.1", there)]) as network:
        yield network, here


@asynccontextmanager
async def connected(port):
    reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), LIMIT_S)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def echoed(reader, writer, data=b"hello"):
    writer.write(data)
    return await asyncio.wait_for(reader.readexactly(len(data)), LIMIT_S)


async def test_a_clear_link_passes_everything_both_ways():
    big = bytes(range(256)) * 40_000
    async with echoing() as (_, port), connected(port) as (reader, writer):
        assert await echoed(reader, writer, big) == big
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), LIMIT_S) == b""


@pytest.mark.parametrize("ways", [(Way.REQUESTS,), (Way.ANSWERS,), tuple(Way)])
async def test_a_lossy_link_is_silent_and_delivers_once_it_heals(ways):
    async with echoing() as (network, port), connected(port) as (reader, writer):
        await echoed(reader, writer)
        await network.lose("x", ways)
        writer.write(b"again")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(5), SILENT_S)

        await network.heal()

        assert await asyncio.wait_for(reader.readexactly(5), LIMIT_S) == b"again"


async def test_a_lossy_link_neither_takes_nor_refuses_new_connections():
    async with echoing() as (network, port):
        await network.lose("x")
        opening = asyncio.create_task(asyncio.open_connection("127.0.0.1", port))
        done, _ = await asyncio.wait([opening], timeout=SILENT_S)
        assert not done

        await network.heal()

        reader, writer = await asyncio.wait_for(opening, LIMIT_S)
        assert await echoed(reader, writer) == b"hello"
        writer.transport.abort()


async def test_the_end_of_a_connection_is_lost_as_data_is():
    async with echoing() as (network, port), connected(port) as (reader, writer):
        await echoed(reader, writer)
        await network.lose("x")
        writer.write_eof()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(), SILENT_S)

        await network.heal()

        assert await asyncio.wait_for(reader.read(), LIMIT_S) == b""


async def test_a_cut_link_resets_connections_and_refuses_new_ones_until_it_heals():
    async with echoing() as (network, port):
        async with connected(port) as (reader, writer):
            await echoed(reader, writer)
            await network.cut("x")
            with pytest.raises(ConnectionError):
                await asyncio.wait_for(reader.readexactly(1), LIMIT_S)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
            await network.heal()
        async with connected(port) as (reader, writer):
            assert await echoed(reader, writer) == b"hello"


async def test_delay_and_bandwidth_hold_data_back_for_so_long():
    loop = asyncio.get_running_loop()
    async with echoing() as (network, port), connected(port) as (reader, writer):
        await network.become("x", Conditions(delay_s=0.1))
        began = loop.time()
        await echoed(reader, writer)
        delayed_s = loop.time() - began
        await network.become("x", Conditions(bytes_per_s=50_000), (Way.ANSWERS,))
        await network.become("x", Conditions(), (Way.REQUESTS,))
        began = loop.time()
        await echoed(reader, writer, bytes(20_000))
        slow_s = loop.time() - began

    assert delayed_s >= 0.2
    assert slow_s >= 0.4


async def test_a_link_to_nobody_refuses_and_the_links_say_their_cpu():
    here, there = free_ports(2)
    async with open_network([Link("x", here, "127.0.0.1", there)]) as network:
        async with connected(here) as (reader, _):
            with pytest.raises(ConnectionError):
                await asyncio.wait_for(reader.readexactly(1), LIMIT_S)
        assert await network.cpu_s() > 0


async def test_what_is_on_its_way_to_a_receiver_that_has_gone_is_dropped(capfd):
    async with echoing() as (network, port):
        await network.become("x", Conditions(delay_s=0.2))
        async with connected(port) as (_, writer):
            writer.write(b"x" * 100_000)
            await writer.drain()
            await asyncio.sleep(SILENT_S)  # the answer is on its way when its receiver goes
        await asyncio.sleep(SILENT_S)
        await network.heal()
        async with connected(port) as (reader, writer):
            assert await echoed(reader, writer) == b"hello"

    assert "Traceback" not in capfd.readouterr().err
