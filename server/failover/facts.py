"""What is known of one server of a shard when a failover is planned."""

from typing import NamedTuple


class Place(NamedTuple):
    """How far a server is: all of a timeline comes before any of a newer one."""

    timeline: int
    lsn: int


class ServerFacts(NamedTuple):
    """One server. `away` says why it does not answer; then nothing else is known."""

    name: str
    away: str | None = None
    recovering: bool = False
    system: int = 0
    """The identifier of the data: that of another cluster is no replica of ours."""
    timeline: int = 0
    lsn: int = 0
    """On a replica what it has received, on a primary what is flushed."""
    replayed: int = 0
    receiving: bool = False
    """A primary is sending to it."""
    synchronous: str = ""
    """Its `synchronous_standby_names`."""
    conninfo: str | None = None
    """Its `primary_conninfo`, which may hold a password; None: it may not be seen."""
    slot: str = ""
    directory: str | None = None
    superuser: bool = False
    may_promote: bool = False

    @property
    def place(self) -> Place:
        """How far it is."""
        return Place(self.timeline, self.lsn)


def text_of(lsn: int) -> str:
    """A position as PostgreSQL writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
