"""Where the standbys listen that a primary names: told from its `pg_stat_replication`.

Pure. A primary knows from where a standby has connected to it, not where the standby listens. So the
host is that of its connection, the port is the primary's own, and an `application_name` that
ends in `@HOST:PORT`, `@HOST` or `@:PORT` says otherwise. Whether a server of the shard is really
there, only a connection shows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from shardmap import Endpoint, InvalidUrl, ShardId, split_host_port

Address = tuple[str, int, str]


class Standby(NamedTuple):
    """One row about a physical standby that is connected."""

    application_name: str
    client_address: str | None
    """None: it came over a socket of the primary's own machine."""


@dataclass(frozen=True, slots=True)
class Unaddressed:
    """A standby that does not say where it listens."""

    application_name: str
    reason: str


def endpoints(
    shard: ShardId, standbys: Iterable[Standby], primary: Endpoint, port: int | None
) -> Iterator[Endpoint | Unaddressed]:
    """An endpoint for each standby; database, login and encryption are the primary's.

    `port` is what standbys listen on that do not say, None: the primary's.
    """
    for standby in standbys:
        try:
            host, own_port = _said(standby.application_name)
        except InvalidUrl as error:
            yield Unaddressed(standby.application_name, f"its application_name: {error}")
            continue
        found = Endpoint(
            name="",
            host=host or standby.client_address or primary.host,
            port=own_port or port or primary.port,
            database=primary.database,
            user=primary.user,
            credentials=primary.credentials,
            tls=primary.tls,
        )
        if found.address == primary.address:
            yield Unaddressed(
                standby.application_name,
                "it is at the primary's own address, so its application_name has to name its port",
            )
        else:
            yield _named(shard, found)


def _said(application_name: str) -> tuple[str | None, int | None]:
    """Host and port that a name holds, if any.

    Raises:
        InvalidUrl: What stands behind the @ is no address.
    """
    _, at, place = application_name.rpartition("@")
    if not at or not place:
        return None, None
    if place.startswith(":"):
        return None, split_host_port(f"host{place}")[1]
    return split_host_port(place)


def _named(shard: ShardId, found: Endpoint) -> Endpoint:
    """With a name that tells where it is: it has none in the map."""
    host = "" if found.host.startswith("/") else found.host
    place = f"[{host}]" if ":" in host else host
    return Endpoint(
        name=f"{shard}@{place}:{found.port}",
        host=found.host,
        port=found.port,
        database=found.database,
        user=found.user,
        credentials=found.credentials,
        tls=found.tls,
    )
