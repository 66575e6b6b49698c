"""A change of the map carried out: servers looked at, claimed and guarded, the map applied, noted."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from server.catalog import Session, catalog_session
from server.mapchange.proposal import Proposal, propose_change
from server.mapcheck import Findings, check_servers, claim_newcomers, settle_uniques
from shardmap import (
    CATALOG,
    AuditEntry,
    AuditLog,
    CatalogSource,
    Endpoint,
    MapRefused,
    Plain,
    Problem,
    ShardMap,
    content_hash,
)


class Catalogue(Protocol):
    """Where the maps are, and where `env:` credentials are looked up."""

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """The servers of the catalog, the declared primary first."""
        ...

    @property
    def environ(self) -> Mapping[str, str]:
        """Names and values."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """A `Catalogue` whose place is known."""

    endpoints: tuple[Endpoint, ...]
    environ: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Why:
    """Who changes the map, by what, and why: for the history and the audit log."""

    actor: str
    via: str
    """`cli` or `api`."""
    reason: str


@dataclass(frozen=True, slots=True)
class Looked:
    """A change and what its servers say to it."""

    proposal: Proposal
    findings: Findings

    @property
    def absent(self) -> tuple[Problem, ...]:
        """Servers that have to prove who they are before they are used, and do not answer."""
        return tuple(
            Problem(
                "catalog.primary" if shard == CATALOG else f"shards.{shard}.primary",
                f"does not answer, and has to prove who it is before it is used: {why}",
            )
            for shard, why in self.findings.unreachable.items()
            if not self.proposal.stays(shard)
        )

    @property
    def unchecked(self) -> Mapping[str, str]:
        """Servers of the map in force that do not answer, and why: they may be away."""
        unreachable = self.findings.unreachable.items()
        return {shard: why for shard, why in unreachable if self.proposal.stays(shard)}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything that keeps the change from being made."""
        tables = tuple(
            Problem(found.path, f"{found.message} [{found.rule}]")
            for found in self.findings.blocking
        )
        return self.proposal.refused + self.absent + tables


def opened(catalogue: Catalogue, *, writable: bool) -> AbstractAsyncContextManager[Session]:
    """A session on the catalog's primary; see `catalog_session`."""
    return catalog_session(catalogue.endpoints, catalogue.environ, writable=writable)


async def stored_map(catalogue: Catalogue) -> ShardMap | None:
    """The map in force; None when none was ever applied."""
    async with opened(catalogue, writable=False) as session:
        return await CatalogSource(session).newest()


async def look_at(
    catalogue: Catalogue, old: ShardMap | None, asked: ShardMap, *, moves: bool = False
) -> Looked:
    """What applying would do, and what the servers say to it. Nothing is changed.

    `moves`: whoever asks carries out moves, so that homes may differ.
    """
    proposal = propose_change(old, asked, moves=moves)
    return Looked(proposal, await check_servers(proposal.next, catalogue.environ, old))


async def apply_change(catalogue: Catalogue, proposal: Proposal, why: Why) -> ShardMap:
    """Put the proposal's next map in force, with a row in the audit log in the same commit.

    Servers of new shards are claimed first, and globally unique columns guarded.

    Raises:
        MapConflict: Somebody else has applied a map meanwhile.
        MapRefused: The change would leave rows behind.
        MapUnavailable: The catalog, or a server that has to be claimed, does not answer.
    """
    if proposal.refused:
        raise MapRefused(proposal.refused)
    await claim_newcomers(proposal.next, catalogue.environ, proposal.old)
    await settle_uniques(proposal.next, catalogue.environ, proposal.old)
    async with opened(catalogue, writable=True) as session:
        log = AuditLog(session)
        await log.install()
        async with session.transaction():
            applied = await CatalogSource(session).apply(
                proposal.next,
                expected_epoch=proposal.old.epoch if proposal.old is not None else 0,
                author=why.actor,
                reason=why.reason,
            )
            details: dict[str, Plain] = {
                "epoch": applied.epoch,
                "content_hash": content_hash(applied),
            }
            await log.note(
                AuditEntry(
                    why.actor, why.via, "map apply", f"epoch {applied.epoch}", why.reason, details
                )
            )
    return applied


async def note(catalogue: Catalogue, entry: AuditEntry) -> None:
    """Write down what was done, where it is no part of another transaction."""
    async with opened(catalogue, writable=True) as session:
        log = AuditLog(session)
        await log.install()
        await log.note(entry)
