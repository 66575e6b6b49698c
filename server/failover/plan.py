"""The plan of a failover: who is promoted, by which steps, and what could be lost. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from server.failover.errors import FailoverRefused, NotPermitted
from server.failover.facts import ServerFacts, text_of
from shardmap import Durability

ACCEPT: Final = "Bring the missing servers back, or accept the loss with --accept-loss."
RIGHTS: Final = (
    "Name a superuser by FLUXBASE_DATABASE_ADMIN_USER and FLUXBASE_DATABASE_ADMIN_PASSWORD."
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the operator wants."""

    shard: str
    durability: Durability
    to: str | None = None
    accept_loss: bool = False
    databases: tuple[str, ...] = ()
    """The databases of the map on the shard's servers: all of them go along."""
    also: tuple[str, ...] = ()
    """The other shards that live on these servers."""
    embedded: bool = False
    """The servers are ours to stop, start and rewind."""


@dataclass(frozen=True, slots=True)
class FailoverPlan:
    """Who becomes the primary, and how."""

    asked: Asked
    heir: str
    old: str | None
    """The primary that answers, which is demoted first; None: it is lost."""
    lost: tuple[str, ...]
    """Servers that do not answer, or were left behind by an earlier promotion."""
    followers: tuple[str, ...]
    """Replicas that will follow the heir."""
    losses: tuple[str, ...]
    """What may be lost; empty: no acknowledged write."""
    places: Mapping[str, str]

    @property
    def planned(self) -> bool:
        """Whether it is a switchover: the old primary lives, and nothing is lost."""
        return self.old is not None

    @property
    def steps(self) -> tuple[str, ...]:
        """What will be done, in words."""
        if self.asked.embedded:
            return self._embedded_steps
        if self.old is not None:
            what = ", ".join(self.asked.databases) or "its databases"
            first = [
                f"{self.old}: shut {what} for clients and end their sessions",
                f"{self.heir}: wait until it has replayed all of {self.old}",
            ]
        else:
            first = [
                f"{name}: stop receiving from the lost primary"
                for name in (self.heir, *self.followers)
            ]
            first.append(f"look again who is the furthest of {', '.join(self.places)}")
        return (
            *first,
            f"{self.heir}: promote it, on a new timeline",
            *(f"{name}: follow {self.heir}" for name in self.followers),
        )

    @property
    def _embedded_steps(self) -> tuple[str, ...]:
        old = [f"{self.old}: stop it in an orderly way"] if self.old is not None else []
        back = [self.old] if self.old is not None else self.lost
        return (
            *old,
            f"make sure that {self.heir} has all that was acknowledged",
            f"{self.heir}: promote it, on a new timeline",
            *(f"{name}: follow {self.heir}" for name in self.followers),
            *(f"{name}: rewind it, and let it follow {self.heir}" for name in back),
        )

    def document(self) -> dict[str, Any]:
        """The plan as JSON."""
        return {
            "shard": self.asked.shard,
            "durability": self.asked.durability,
            "kind": "switchover" if self.planned else "failover",
            "old": self.old,
            "heir": self.heir,
            "followers": list(self.followers),
            "lost": list(self.lost),
            "also": list(self.asked.also),
            "losses": list(self.losses),
            "places": dict(self.places),
            "steps": list(self.steps),
        }


def make_plan(asked: Asked, servers: Sequence[ServerFacts]) -> FailoverPlan:
    """The plan for a shard whose servers are as they say.

    Raises:
        FailoverRefused: Nobody can be promoted, or what was acknowledged could be lost.
        NotPermitted: The heir may not be promoted by this login.
    """
    awake = [server for server in servers if server.away is None]
    old = _primary(asked, awake)
    standbys = [server for server in awake if server.recovering]
    heir = _heir(asked, standbys, old)
    standbys = [server for server in standbys if server.system == heir.system]
    silent = [server.name for server in servers if server.away is not None]
    behind = [server.name for server in awake if not server.recovering and server is not old]
    losses = () if old is not None else tuple(_losses(asked, heir, standbys, silent))
    if losses and not asked.accept_loss:
        raise FailoverRefused("; ".join(losses), hint=ACCEPT)
    if not heir.may_promote:
        raise NotPermitted(f"the login may not promote {heir.name}", hint=RIGHTS)
    if old is not None and not old.superuser:
        raise NotPermitted(
            f"the login is no superuser of {old.name}, which has to be shut for clients",
            hint=RIGHTS,
        )
    fed = [one.name for one in standbys if one.receiving and not one.superuser]
    if old is None and fed and not asked.accept_loss:
        raise NotPermitted(
            f"{', '.join(fed)} may still receive from the lost primary, and the login may not stop"
            " that: it is no superuser there",
            hint=RIGHTS,
        )
    followers = [server.name for server in standbys if server is not heir]
    return FailoverPlan(
        asked=asked,
        heir=heir.name,
        old=old.name if old is not None else None,
        lost=(*silent, *behind),
        followers=tuple(followers),
        losses=losses,
        places={server.name: _words(server) for server in standbys},
    )


def _primary(asked: Asked, awake: Sequence[ServerFacts]) -> ServerFacts | None:
    """The primary that answers; one of an older timeline than others has was left behind."""
    newest = max((server.timeline for server in awake), default=0)
    leading = [server for server in awake if not server.recovering and server.timeline == newest]
    if len(leading) > 1:
        names = " and ".join(server.name for server in leading)
        raise FailoverRefused(
            f"{names} of {asked.shard} are primaries on timeline {newest}",
            hint="Decide whose writes are kept, and stop the other one.",
        )
    return leading[0] if leading else None


def _heir(asked: Asked, standbys: Sequence[ServerFacts], old: ServerFacts | None) -> ServerFacts:
    fit = [server for server in standbys if old is None or server.system == old.system]
    if asked.to is not None:
        if old is not None and old.name == asked.to:
            raise FailoverRefused(f"{asked.to} is the primary of {asked.shard} already")
        for server in fit:
            if server.name == asked.to:
                return server
        names = ", ".join(server.name for server in fit) or "nobody"
        raise FailoverRefused(
            f"{asked.to} is no replica of {asked.shard} that answers; those are: {names}"
        )
    if not fit:
        raise FailoverRefused(f"{asked.shard} has no replica that answers")
    furthest = max(server.place for server in fit)
    return next(server for server in fit if server.place == furthest)


def _losses(
    asked: Asked,
    heir: ServerFacts,
    standbys: Sequence[ServerFacts],
    silent: Sequence[str],
) -> list[str]:
    """What may be lost with a primary that does not answer."""
    losses = [
        f"{server.name} has {_distance(server, heir)} that {heir.name} lacks"
        for server in standbys
        if server.place > heir.place
    ]
    if asked.durability is not Durability.QUORUM:
        losses.append(
            f"{asked.shard} is async: what its primary acknowledged and no replica received is lost"
        )
    elif len(silent) > 1:  # one of them is the primary that was lost
        losses.append(
            f"{', '.join(silent)} of {asked.shard} do not answer: a replica among them could be the"
            " only one that has the last acknowledged writes"
        )
    return losses


def _distance(ahead: ServerFacts, behind: ServerFacts) -> str:
    if ahead.timeline != behind.timeline:
        return f"timeline {ahead.timeline}"
    return f"{ahead.lsn - behind.lsn} bytes"


def _words(server: ServerFacts) -> str:
    return f"timeline {server.timeline}, {text_of(server.lsn)}"
