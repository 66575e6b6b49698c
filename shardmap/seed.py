"""What the environment says about servers: it seeds epoch 1, and later only warns and proposes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from shardmap.address import parse_url
from shardmap.document import read_document
from shardmap.endpoint import Durability, Endpoint, Pooling, Shard
from shardmap.endpoints import MAX_REPLICAS, Declared, endpoint_at, endpoint_name
from shardmap.errors import InvalidMap, InvalidUrl, Problem
from shardmap.ids import CATALOG, KeyType, ShardId
from shardmap.listed import read_listed
from shardmap.map import ShardMap
from shardmap.placement import Unsharded
from shardmap.ring import propose
from shardmap.writing import write_document

ADOPT_HINT: Final = "the stored map counts; `fluxshard map plan --from-env` proposes the change"


@dataclass(frozen=True, slots=True)
class GivenServers:
    """A primary's url and its replicas, with the variables that say so.

    `url_name` holds the login as well, so the map refers to it: `credentials: env:URL_NAME`.
    """

    url: str = field(repr=False)
    url_name: str
    replicas: tuple[str, ...] = field(default=(), repr=False)
    replicas_name: str = ""


@dataclass(frozen=True, slots=True)
class GivenCluster:
    """`DATABASE_URL`, and `SHARD_0` onwards if there are any."""

    catalog: GivenServers
    shards: tuple[GivenServers, ...]
    key_type: KeyType
    durability: Durability = Durability.ASYNC


def first_from(given: GivenCluster, cluster_id: str) -> ShardMap:
    """The map of epoch 1 that the environment describes.

    With `DATABASE_URL` alone, that database is both the catalog and `shard_0`, and tables are
    where they are, unsharded. With `SHARD_n`, the ring deals out the slots, and every table is
    refused until a map places it.

    Raises:
        InvalidMap: With every problem, its path the name of the variable.
    """
    problems: list[Problem] = []
    catalog, shards = _servers(given, problems)
    if problems:
        raise InvalidMap(problems)
    ids = [ShardId(f"shard_{number}") for number in range(len(shards))]
    seeded = ShardMap(
        cluster_id=cluster_id,
        epoch=1,
        key_type=given.key_type,
        shards={
            shard_id: Shard(shard_id, servers[0], servers[1:], durability=given.durability)
            for shard_id, servers in sorted(zip(ids, shards, strict=True))
        },
        catalog=catalog[0],
        catalog_replicas=catalog[1:],
        slots=propose(dict.fromkeys(ids, 1)),
        default_placement=None if given.shards else Unsharded(),
    )
    return _checked(seeded)


def differences(stored: ShardMap, given: GivenCluster) -> tuple[Problem, ...]:
    """Where the environment contradicts the stored map, fit for warnings; the map counts.

    What the environment is silent on is no contradiction: shards that joined later, replicas.
    """
    problems: list[Problem] = []
    try:
        wanted = first_from(given, stored.cluster_id)
    except InvalidMap as error:
        return error.problems
    if wanted.key_type is not stored.key_type:
        message = f"is {wanted.key_type}, and the tenant keys of the stored map are "
        problems.append(Problem("FLUXSHARD_TENANT_KEY_TYPE", f"{message}{stored.key_type}"))
    problems += _contradictions(
        CATALOG,
        given.catalog,
        (wanted.catalog, *wanted.catalog_replicas),
        (stored.catalog, *stored.catalog_replicas),
    )
    for servers, shard in _declared_shards(given, wanted):
        known = stored.shards.get(shard.id)
        if known is None:
            message = f"{shard.id} is not in the stored map; {ADOPT_HINT}"
            problems.append(Problem(servers.url_name, message))
        elif given.shards:  # else it is the catalog's database, compared above
            problems += _contradictions(shard.id, servers, shard.endpoints, known.endpoints)
    return tuple(problems)


def adopted(stored: ShardMap, given: GivenCluster) -> ShardMap:
    """The stored map with the addresses of the environment, to be applied as the next one.

    Shards of the environment that are new join without slots; nothing is taken away.

    Raises:
        InvalidMap: The environment has problems, or the result is no valid map.
    """
    wanted = first_from(given, stored.cluster_id)
    catalog = _adopt(
        CATALOG,
        (stored.catalog, *stored.catalog_replicas),
        (wanted.catalog, *wanted.catalog_replicas),
        given.catalog,
    )
    shards = dict(stored.shards)
    for servers, shard in _declared_shards(given, wanted):
        known = shards.get(shard.id)
        if known is None:
            shards[shard.id] = shard
        else:
            endpoints = _adopt(shard.id, known.endpoints, shard.endpoints, servers)
            shards[shard.id] = replace(known, primary=endpoints[0], replicas=endpoints[1:])
    return _checked(
        replace(
            stored,
            shards=dict(sorted(shards.items())),
            catalog=catalog[0],
            catalog_replicas=catalog[1:],
        )
    )


def _declared_shards(given: GivenCluster, wanted: ShardMap) -> Iterator[tuple[GivenServers, Shard]]:
    for number, servers in enumerate(given.shards or (given.catalog,)):
        yield servers, wanted.shards[ShardId(f"shard_{number}")]


def _checked(shard_map: ShardMap) -> ShardMap:
    return read_document(write_document(shard_map))


def _servers(
    given: GivenCluster, problems: list[Problem]
) -> tuple[tuple[Endpoint, ...], list[tuple[Endpoint, ...]]]:
    catalog = _read(CATALOG, given.catalog, None, problems)
    login = catalog[0] if catalog else None
    if not given.shards:
        shard_0 = tuple(
            replace(endpoint, name=endpoint_name("shard_0", position))
            for position, endpoint in enumerate(catalog)
        )
        return catalog, [shard_0]
    return catalog, [
        _read(f"shard_{number}", servers, login, problems)
        for number, servers in enumerate(given.shards)
    ]


def _read(
    shard: str, given: GivenServers, login: Endpoint | None, problems: list[Problem]
) -> tuple[Endpoint, ...]:
    """The primary and its replicas. A url without a user takes the login of `login`."""
    name = endpoint_name(shard, 0)
    try:
        address, password = parse_url(given.url)
        credentials: str | None = f"env:{given.url_name}"
        if address.user is None and login is not None:
            address = replace(address, user=login.user)
            credentials = login.credentials
        primary = endpoint_at(address, Declared(name), credentials)
    except InvalidUrl as error:
        problems.append(Problem(given.url_name, str(error)))
        return ()
    if len(given.replicas) > MAX_REPLICAS:
        problems.append(Problem(given.replicas_name, f"names more than {MAX_REPLICAS} replicas"))
        return (primary,)
    endpoints = [primary]
    for position, text in enumerate(given.replicas, start=1):
        declared = Declared(endpoint_name(shard, position), primary)
        try:
            endpoints.append(_replica(text, declared, primary, password))
        except InvalidUrl as error:
            problems.append(Problem(f"{given.replicas_name}[{position - 1}]", str(error)))
    return tuple(endpoints)


def _replica(text: str, declared: Declared, primary: Endpoint, password: str | None) -> Endpoint:
    listed = read_listed(text)
    address, own_password = listed.address, listed.password
    if address.user not in {None, primary.user} or own_password not in {None, password}:
        raise InvalidUrl(
            "a replica in this list logs in as its primary does; one with a login of its own is "
            "written into the shard map, with credentials: file:/path"
        )
    endpoint = endpoint_at(address, declared, None)
    weight = endpoint.weight if listed.weight is None else listed.weight
    return replace(endpoint, zone=listed.zone, weight=weight)


def _contradictions(
    shard: str, given: GivenServers, wanted: Sequence[Endpoint], stored: Sequence[Endpoint]
) -> Iterator[Problem]:
    if (wanted[0].address, wanted[0].user) != (stored[0].address, stored[0].user):
        yield Problem(
            given.url_name,
            f"is {_shown(wanted[0])}, and the primary of {shard} in the stored map is "
            f"{_shown(stored[0])}; {ADOPT_HINT}",
        )
    if given.replicas and {one.address for one in wanted[1:]} != {
        one.address for one in stored[1:]
    }:
        ours, theirs = (", ".join(map(_shown, some[1:])) or "none" for some in (wanted, stored))
        yield Problem(
            given.replicas_name,
            f"is {ours}, and the replicas of {shard} in the stored map are {theirs}; {ADOPT_HINT}",
        )


def _shown(endpoint: Endpoint) -> str:
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{endpoint.user}@{host}:{endpoint.port}/{endpoint.database}"


def _adopt(
    shard: str, stored: Sequence[Endpoint], wanted: Sequence[Endpoint], given: GivenServers
) -> tuple[Endpoint, ...]:
    """The wanted servers; those that are known by address keep their name and settings."""
    servers = list(wanted)
    if not given.replicas:
        servers += [one for one in stored[1:] if one.address != wanted[0].address]
    known = {endpoint.address: endpoint for endpoint in stored}
    taken = {known[one.address].name for one in servers if one.address in known}
    names = (endpoint_name(shard, position) for position in range(MAX_REPLICAS + 1))
    free = (name for name in names if name not in taken)
    return tuple(
        _updated(known[server.address], server)
        if server.address in known
        else replace(server, name=next(free))
        for server in servers
    )


def _updated(known: Endpoint, wanted: Endpoint) -> Endpoint:
    """The known endpoint as it is wanted; where the environment is silent it stays."""
    known = replace(
        known,
        user=wanted.user,
        zone=wanted.zone or known.zone,
        weight=known.weight if wanted.weight == 1 else wanted.weight,
    )
    if wanted.pooling is Pooling.NONE and wanted.direct is None:
        return known
    return replace(known, pooling=wanted.pooling, direct=wanted.direct)
