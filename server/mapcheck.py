"""A map against the servers that it names: their tables, and who they say they are."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass

from server.catalog import STATEMENT_TIMEOUT_S, connected
from server.primaries import primary_session
from shardmap import (
    CATALOG,
    REFUSING,
    CredentialsUnavailable,
    Endpoint,
    Facts,
    Finding,
    Identity,
    MapUnavailable,
    Placement,
    Rule,
    Severity,
    ShardId,
    ShardMap,
    TableName,
    TablesUnsafe,
    claim_identity,
    claim_number,
    expected_identities,
    guard,
    merged,
    read_facts,
    read_identity,
    read_number,
    sequence_findings,
    table_findings,
    tables_of,
    unguard,
    unique_names,
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What asking every primary gave. `unreachable`: who could not be asked, and why."""

    all: tuple[Finding, ...]
    unreachable: Mapping[ShardId, str]
    pending: frozenset[str] = frozenset()
    """Paths of tables that are on none of their servers, which were all asked: a migration makes
    them, and it needs to know their places first."""

    @property
    def problems(self) -> tuple[Finding, ...]:
        """What keeps the map from being applied."""
        return tuple(one for one in self.all if one.severity in REFUSING)

    @property
    def awaited(self) -> tuple[Finding, ...]:
        """Of the problems: tables that a migration will make once they have a place."""
        return tuple(
            one
            for one in self.problems
            if one.rule is Rule.TABLE_MISSING and one.path in self.pending
        )

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """What keeps `map apply` from applying: the problems without the tables awaited."""
        awaited = self.awaited
        return tuple(one for one in self.problems if one not in awaited)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What does not, and is told nevertheless."""
        return tuple(one for one in self.all if one.severity is Severity.WARNING)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one primary says."""

    identity: Identity | None
    number: int | None
    facts: Facts


async def check_servers(
    shard_map: ShardMap,
    environ: Mapping[str, str],
    stored: ShardMap | None,
    *,
    numbers_given: bool = True,
) -> Findings:
    """Ask all primaries at once for their tables, identities and numbers; nothing is changed.

    `stored` is the map in force: its shards and its catalog have been claimed, so they have to say
    who they are, wherever they are now. Without `numbers_given` the map's numbers of shards are
    guesses: the document leaves them to the map in force.
    """
    unreachable: dict[ShardId, str] = {}
    answers: dict[ShardId, _Answer] = {}

    async def ask(shard: ShardId, primary: Endpoint) -> None:
        try:
            async with connected(primary, environ) as session:
                answers[shard] = _Answer(
                    await read_identity(session),
                    await read_number(session),
                    await read_facts(session, tables_of(shard_map, shard)),
                )
        except (MapUnavailable, CredentialsUnavailable) as error:
            unreachable[shard] = str(error)

    primaries = _primaries(shard_map)
    async with asyncio.TaskGroup() as tasks:
        for shard, primary, _ in primaries:
            tasks.create_task(ask(shard, primary))
    servers: list[Finding] = []
    tables: dict[ShardId, tuple[Finding, ...]] = {}
    for shard, _, identity in primaries:
        answer = answers.get(shard)
        if answer is not None:
            claimed = stored is not None and shard in {CATALOG, *stored.shards}
            servers += _identity_findings(shard_map, shard, identity, answer, claimed=claimed)
            if numbers_given:
                servers += _number_findings(shard_map, shard, identity, answer)
            tables[shard] = table_findings(shard_map, shard, answer.facts)
    facts = {shard: answer.facts for shard, answer in answers.items()}
    found = (*servers, *merged(tables), *sequence_findings(shard_map, facts))
    pending = _pending(shard_map, tables) if not unreachable else frozenset()
    order = [shard for shard, _, _ in primaries if shard in unreachable]
    return Findings(found, {shard: unreachable[shard] for shard in order}, pending)


async def check_before_start(shard_map: ShardMap, environ: Mapping[str, str]) -> Findings:
    """What a server that starts has to warn about.

    Raises:
        TablesUnsafe: A statement could touch another tenant's rows.
    """
    findings = await check_servers(shard_map, environ, None)
    unsafe = [one for one in findings.problems if one.severity is Severity.UNSAFE]
    if unsafe:
        raise TablesUnsafe("; ".join(f"{one} [{one.rule}]" for one in unsafe))
    return findings


async def claim_newcomers(
    shard_map: ShardMap, environ: Mapping[str, str], stored: ShardMap | None
) -> None:
    """Claim the servers of shards that the map in force does not have.

    Raises:
        MapUnavailable: One does not answer.
        IdentityTaken: One is another shard already.
        CredentialsUnavailable: A login cannot be found.
    """
    for shard, primary, identity in _primaries(shard_map):
        if stored is None or (shard in shard_map.shards and shard not in stored.shards):
            async with connected(primary, environ) as session:
                await claim_identity(session, identity.cluster_id, identity.shard_id)
                await claim_number(session, shard_map.number(identity.shard_id))


async def settle_uniques(
    shard_map: ShardMap, environ: Mapping[str, str], stored: ShardMap | None
) -> None:
    """Guard the globally unique columns of the map on every shard, and no others.

    Raises:
        MapRefused: Tables that are to have such columns have rows.
        MapUnavailable: A shard does not answer, or refuses, that has something to be changed; those
            before it are settled.
    """
    before = stored.tables if stored is not None else {}
    if not _uniques(before) and not _uniques(shard_map.tables):
        return
    same = _uniques(before) == _uniques(shard_map.tables)
    for shard in shard_map.shards.values():
        settled = same and stored is not None and shard.id in stored.shards
        with suppress(MapUnavailable) if settled else nullcontext():
            async with (
                primary_session(shard_map, shard.id, environ) as session,
                asyncio.timeout(STATEMENT_TIMEOUT_S),
            ):
                await unguard(session, before, shard_map.tables)
                await guard(session, shard_map.tables)


def _uniques(tables: Mapping[TableName, Placement]) -> set[str]:
    return {name for table, placement in tables.items() for name in unique_names(table, placement)}


def _primaries(shard_map: ShardMap) -> list[tuple[ShardId, Endpoint, Identity]]:
    """Each server to ask, under the name that the document has for it.

    Those of one database, a catalog and its only shard, are two: their tables differ.
    """
    names = (CATALOG, *shard_map.shards)
    return [
        (name, primary, identity)
        for name, (primary, identity) in zip(names, expected_identities(shard_map), strict=True)
    ]


def _pending(shard_map: ShardMap, found: Mapping[ShardId, tuple[Finding, ...]]) -> frozenset[str]:
    """The paths of tables that every server lacks which should have them."""
    missing = {
        shard: {one.path for one in findings if one.rule is Rule.TABLE_MISSING}
        for shard, findings in found.items()
    }
    on_no_shard = set.intersection(*(missing[shard] for shard in shard_map.shards))
    return frozenset(missing[CATALOG] | on_no_shard)


def _identity_findings(
    shard_map: ShardMap, shard: ShardId, wanted: Identity, answer: _Answer, *, claimed: bool
) -> Iterator[Finding]:
    found = answer.identity
    path = _path(shard_map, shard)
    if found is None and claimed:
        yield Finding(
            Rule.SHARD_IDENTITY,
            path,
            f"the server does not know that it is {wanted.shard_id} of cluster "
            f"{wanted.cluster_id}: is this the right address?",
        )
    elif found is not None and found != wanted:
        yield Finding(
            Rule.SHARD_IDENTITY,
            path,
            f"the server is {found.shard_id} of cluster {found.cluster_id}, "
            f"not {wanted.shard_id} of cluster {wanted.cluster_id}",
        )


def _number_findings(
    shard_map: ShardMap, shard: ShardId, wanted: Identity, answer: _Answer
) -> Iterator[Finding]:
    number = shard_map.number(wanted.shard_id)
    if answer.identity == wanted and answer.number not in {None, number}:
        yield Finding(
            Rule.SHARD_NUMBER,
            _path(shard_map, shard),
            f"the server makes ids as shard number {answer.number}, not {number}",
            f"shard_numbers: {{{wanted.shard_id}: {answer.number}}} in the map, if no other has it",
        )


def _path(shard_map: ShardMap, shard: ShardId) -> str:
    return f"shards.{shard}.primary" if shard in shard_map.shards else "catalog.primary"
