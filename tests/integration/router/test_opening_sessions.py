"""What a session is before a pool or a probe has it: encrypted as declared, and proved."""

import asyncio
import struct
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial

import pytest

from router import BackendSettings, IdentityMismatch
from router.live.failures import EndpointLost
from router.live.opening import open_held, open_session
from shardmap import Endpoint, Identity, Login, ShardId, Tls, resolve

SETTINGS = BackendSettings()
IDENTITY = Identity("c-test", ShardId("shard_0"))
SSL_REQUEST = 80877103
PROTOCOL_3 = 196608
"""What the first message of a PostgreSQL client says (its second four bytes)."""

ENCRYPTED = (Tls.PREFER, Tls.REQUIRE)
PLAIN = (Tls.DISABLE, Tls.ALLOW)
PROVED = (Tls.VERIFY_CA, Tls.VERIFY_FULL)


def login(_):
    return Login("somebody", "secret")


async def pooled(endpoint, login=login):
    return await open_held(endpoint, login, SETTINGS, IDENTITY, "authenticated", lifetime_share=1.0)


async def probing(endpoint, login=login):
    return await open_session(endpoint, login, SETTINGS, IDENTITY, None)


async def _bound(meet):
    """A server on a port below the ephemeral ones, and the port."""
    for port in range(31000, 32000):
        with suppress(OSError):
            return await asyncio.start_server(meet, "127.0.0.1", port), port
    raise AssertionError("no port is free")


@asynccontextmanager
async def listening(heard):
    """A server that does not do TLS, and hangs up after the first message of each client."""

    async def meet(reader, writer):
        heard.append(struct.unpack("!ii", await reader.readexactly(8))[1])
        if heard[-1] == SSL_REQUEST:
            writer.write(b"N")
        writer.close()

    server, port = await _bound(meet)
    async with server:
        yield Endpoint(name="a", host="127.0.0.1", port=port, database="d", user="u")


@pytest.mark.parametrize("opening", [pooled, probing])
@pytest.mark.parametrize(
    ("tls", "first"),
    [*((tls, SSL_REQUEST) for tls in ENCRYPTED), *((tls, PROTOCOL_3) for tls in PLAIN)],
)
async def test_the_first_message_asks_for_encryption_as_the_endpoint_declares(opening, tls, first):
    heard = []
    async with listening(heard) as endpoint:
        with pytest.raises(EndpointLost):
            await opening(replace(endpoint, tls=tls))

    assert heard[0] == first


@pytest.mark.parametrize("opening", [pooled, probing])
async def test_a_server_without_encryption_is_not_spoken_to_where_it_is_required(opening):
    heard = []
    async with listening(heard) as endpoint:
        with pytest.raises(EndpointLost, match="cannot connect to a"):
            await opening(replace(endpoint, tls=Tls.REQUIRE))

    assert set(heard) == {SSL_REQUEST}


@pytest.mark.parametrize("opening", [pooled, probing])
@pytest.mark.parametrize("tls", PROVED)
async def test_without_a_root_certificate_nobody_can_be_proved_and_nobody_is_called(
    opening, tls, monkeypatch, tmp_path
):
    monkeypatch.setenv("HOME", str(tmp_path))
    heard = []
    async with listening(heard) as endpoint:
        with pytest.raises(EndpointLost, match="root certificate"):
            await opening(replace(endpoint, tls=tls))

    assert heard == []


@pytest.mark.parametrize("opening", [pooled, probing])
@pytest.mark.parametrize("prepared", ["SELECT 1", "CREATE SCHEMA fluxshard"])
async def test_a_database_without_the_table_of_identities_is_not_the_one_that_is_meant(
    databases, opening, prepared
):
    shard = databases.endpoints.shards[0]
    await databases.execute(prepared, shard.id)

    with pytest.raises(IdentityMismatch, match="was not prepared for Fluxshard") as caught:
        await opening(shard.primary, partial(resolve, environ={}))

    assert (caught.value.shard, caught.value.code) == (shard.id, "P205")
