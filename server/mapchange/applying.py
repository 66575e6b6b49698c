"""A change of the map carried out: servers looked at, claimed and guarded, the map applied, noted."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, Protocol

import asyncpg

from server.catalog import Session, catalog_session
from server.mapchange.fencing import fence_changes, fenced
from server.mapchange.proposal import Proposal, propose_change
from server.mapcheck import Findings, check_servers, claim_newcomers, settle_uniques
from server.moves import MoveAway, Places
from shardmap import (
    CATALOG,
    AuditEntry,
    AuditLog,
    CatalogSource,
    Endpoint,
    MapRefused,
    MapUnavailable,
    Plain,
    Problem,
    ShardMap,
    content_hash,
)

ATTEMPTS: Final = 10
"""To change the fences of pins between the writes of their tenants."""
AGAIN_S: Final = 0.2


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


async def look_at(catalogue: Catalogue, old: ShardMap | None, asked: ShardMap) -> Looked:
    """What applying would do, and what the servers say to it. Nothing is changed."""
    proposal = propose_change(old, asked)
    return Looked(proposal, await check_servers(proposal.next, catalogue.environ, old))


async def apply_change(catalogue: Catalogue, proposal: Proposal, why: Why) -> ShardMap:
    """Put the proposal's next map in force, with a row in the audit log in the same commit.

    Servers of new shards are claimed first, and globally unique columns guarded; where pins are set
    or lifted, the fences of their tenants change together with the map.

    Raises:
        MapConflict: Somebody else has applied a map meanwhile.
        MapRefused: The change would leave rows behind.
        MapUnavailable: The catalog, or a shard that has to be changed, does not answer, or writers
            of a tenant whose pin changes did not leave in time.
    """
    if proposal.refused:
        raise MapRefused(proposal.refused)
    old, new = proposal.old, proposal.next
    await claim_newcomers(new, catalogue.environ, old)
    await settle_uniques(new, catalogue.environ, old)
    changes = fence_changes(old, new) if old is not None else {}
    if old is None or not changes:
        return await _publish(catalogue, proposal, why)
    for _ in range(ATTEMPTS):
        try:
            async with fenced(Places(old, catalogue.environ), changes):
                return await _publish(catalogue, proposal, why)
        except MoveAway as error:
            raise MapUnavailable(str(error)) from error
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            await asyncio.sleep(AGAIN_S)
    raise MapUnavailable("writers of the tenants whose pins change did not leave in time")


async def _publish(catalogue: Catalogue, proposal: Proposal, why: Why) -> ShardMap:
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
            subject = f"epoch {applied.epoch}"
            await log.note(
                AuditEntry(why.actor, why.via, "map apply", subject, why.reason, details)
            )
    return applied


async def note(catalogue: Catalogue, entry: AuditEntry) -> None:
    """Write down what was done, where it is no part of another transaction."""
    async with opened(catalogue, writable=True) as session:
        log = AuditLog(session)
        await log.install()
        await log.note(entry)
