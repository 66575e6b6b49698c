"""Who is the primary of a shard, by the record and by what its servers' files say."""

from collections.abc import Mapping
from dataclasses import dataclass

from server.embedded.errors import DataMissing, SplitBrain
from server.embedded.record import ShardRecord


@dataclass(frozen=True, slots=True)
class Facts:
    """What one server's files and processes say."""

    usable: bool
    """It has a data directory, and a whole one."""
    standby: bool
    """It follows a primary, or would when started."""
    running: bool
    timeline: int
    """Promotions it has seen, plus one."""


def primary_of(shard: ShardRecord, facts: Mapping[str, Facts]) -> str:
    """The server that is to be the shard's only primary.

    The recorded one, even when its promotion was interrupted; or one that was promoted by other
    hands while the recorded one was down. An older primary that is stopped is no rival: it will
    be rewound.

    Raises:
        DataMissing: The primary's data is gone, and replicas have some.
        SplitBrain: Two servers have a claim.
    """
    recorded = facts[shard.primary]
    others = {name: fact for name, fact in facts.items() if name != shard.primary and fact.usable}
    if not recorded.usable:
        if others:
            raise DataMissing(shard.id, shard.primary)
        return shard.primary
    claims = not recorded.standby
    heir = shard.primary
    for name, other in others.items():
        if other.standby:
            continue
        newer = other.timeline > facts[heir].timeline
        equal = other.timeline == facts[heir].timeline
        if newer and heir == shard.primary and not (claims and recorded.running):
            heir = name
        elif newer or other.running or (equal and (claims or heir != shard.primary)):
            raise SplitBrain(
                shard.id,
                (heir, name),
                hint="Stop the one whose own writes you give up and put an empty file"
                " standby.signal into its data directory; `fluxshard cluster up` rewinds it.",
            )
    return heir
