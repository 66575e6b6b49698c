"""The names of our prepared transactions: who decides them, and as whom they end.

A name says all that a stranger needs to finish or undo the transaction after a crash. Names of
others (another cluster's, another program's) are left alone.
"""

import base64
import re
import secrets
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple, Self

from router.errors import StatementFailed
from router.live.preamble import ROLES, check_role
from shardmap import ShardId

MAX_BYTES: Final = 199
"""PostgreSQL's limit. The parts' own limits (63, 32, 63 and 13) stay below it; a role of others
may have 84, beside the ids of clusters and shards that we make (38 and some ten)."""

_NAME: Final = re.compile(
    r"fluxshard:(?P<cluster>[A-Za-z0-9._-]+):(?P<transaction>[0-9a-f]{32})"
    r":(?P<decider>[a-z0-9_]+):(?P<role>[a-z_]+|\.[A-Za-z0-9_-]+)"
)


class GlobalId(NamedTuple):
    """One transaction on several shards, as each of them names it while it is prepared."""

    cluster: str
    transaction: str
    """128 random bits in hex: the key of the decision."""
    decider: ShardId
    """The shard whose commit is the decision."""
    role: str
    """PostgreSQL lets nobody else end it."""

    @classmethod
    def new(cls, cluster: str, decider: ShardId, role: str) -> Self:
        """A name that nobody else has."""
        return cls(cluster, secrets.token_hex(16), decider, role)

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The parts of a name, or None when it is not one of ours."""
        match = _NAME.fullmatch(text)
        role = _read_role(match["role"]) if match is not None else None
        if match is None or role is None:
            return None
        return cls(match["cluster"], match["transaction"], ShardId(match["decider"]), role)

    def __str__(self) -> str:
        return (
            f"fluxshard:{self.cluster}:{self.transaction}:{self.decider}:{_written_role(self.role)}"
        )


def _written_role(role: str) -> str:
    """One of ours as it is; of others, which may have any character, base64 behind a dot."""
    if role in ROLES:
        return role
    return "." + base64.urlsafe_b64encode(role.encode()).rstrip(b"=").decode()


def _read_role(text: str) -> str | None:
    if not text.startswith("."):
        return text if text in ROLES else None
    try:
        role = base64.urlsafe_b64decode(text[1:] + "=" * (-len(text[1:]) % 4)).decode()
        check_role(role)
    except (ValueError, StatementFailed):
        return None
    return role if _written_role(role) == text else None


class InDoubt(NamedTuple):
    """A transaction that is prepared on a shard, and how long that has been so."""

    gid: GlobalId
    age_s: float


def abandoned(
    found: Iterable[tuple[str, float]], cluster: str, own: Collection[str], old_s: float
) -> tuple[InDoubt, ...]:
    """Those of (name, age) that recovery has to end: ours, old, and not in flight here.

    `own` are the transactions that this process is about to end by itself.
    """
    return tuple(
        InDoubt(gid, age_s)
        for name, age_s in found
        if (gid := GlobalId.read(name)) is not None
        and gid.cluster == cluster
        and gid.transaction not in own
        and age_s >= old_s
    )


def forgettable(
    decided: Mapping[str, Collection[str]],
    prepared: Mapping[ShardId, Collection[str]],
) -> tuple[str, ...]:
    """The decisions that nobody will ask for again: no participant has the transaction prepared.

    `decided` gives each transaction's participants; `prepared` the transactions in doubt on every
    shard that could be asked, looked up after the decisions were.
    """
    return tuple(
        transaction
        for transaction, participants in decided.items()
        if all(
            ShardId(shard) in prepared and transaction not in prepared[ShardId(shard)]
            for shard in participants
        )
    )
