"""Query + arguments + tenant + map to Plan, or a named refusal. Runs per request, in microseconds.

With a tenant in context the statement already carries the tenant's predicate: what is left is to
refuse keys that name somebody else, and to find the one shard. Without one (the service role) the
keys of the statement decide, and without keys all shards that are a tenant's home.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import Final, assert_never

from router.analysis.functions import SAFE_MARK
from router.analysis.query import (
    Both,
    Constant,
    Either,
    Keys,
    Param,
    ParamArray,
    Query,
    RecordField,
    Reply,
    Scope,
    Source,
    Target,
    Unbounded,
)
from router.analysis.strangers import versions_of
from router.backends import Access, Part, ShardQuery, Together
from router.context import QueryContext
from router.errors import (
    FilterRequired,
    FunctionRefused,
    OtherTenant,
    ReadOnlyAsked,
    StatementNotUnderstood,
    TenantKeyChanged,
    TenantKeyInvalid,
    TenantKeyMissing,
    TenantKeyNull,
)
from router.fences import NO_FENCES, Entries, Fences, entries_of, entries_of_many
from router.plans.plan import (
    PULL_UP_LIMITS,
    AnyShard,
    EveryShard,
    OneShard,
    Plan,
    PullUpLimits,
    Route,
    Single,
    SomeShards,
    shards_of,
)
from router.plans.several import gathered, pulled_up
from router.plans.spreading import copied, refusal, sent, spread
from router.statement import JsonRows, Statement
from shardmap import CATALOG, InvalidTenantKey, KeyType, ShardId, ShardMap, TenantId, tenant_id

Args = tuple[object, ...]

_SINGLE: Final = Single()


def plan(  # noqa: PLR0913, PLR0917 - what a plan depends on
    query: Query,
    statement: Statement,
    context: QueryContext,
    shard_map: ShardMap,
    limits: PullUpLimits = PULL_UP_LIMITS,
    fences: Fences = NO_FENCES,
) -> Plan:
    """Where the statement goes, with which arguments, and how the answers become one.

    `fences` are what is known of the shards' now: who writes any tenant's rows has to know them all.

    Raises:
        QueryRefused: No shard, or not one shard, can be proved right for it.
        AccessRefused: It names another tenant, or no tenant where one is needed.
    """
    args = statement.args
    _check_arguments(query, args)
    if query.leaves_out:
        statement = statement._replace(args=(*args, versions_of(fences, shard_map)))
    if context.read_only and query.access is Access.WRITE:
        raise ReadOnlyAsked("the statement is not known to only read, which was asked for")
    if query.writes_copies and len(shard_map.shards) > 1:
        return copied(query, statement, tuple(shard_map.shards))
    if query.target is Target.SHARDED and context.tenant is not None:
        _check_tenant(query, args, context.tenant)
        home, entries = (
            OneShard(shard_map.owner(context.tenant)),
            entries_of(shard_map, context.tenant),
        )
        return _single(query, statement, home, context, entries)
    if query.target is Target.SHARDED:
        return _unscoped(query, statement, context, shard_map, limits, fences)
    route = _whole(query, context, shard_map)
    return _single(
        query, statement, route, context, _entries(query, context, shard_map, route, fences)
    )


def _whole(query: Query, context: QueryContext, shard_map: ShardMap) -> Route:
    """The route of statements over tables that one database holds wholly."""
    match query.target:
        case Target.GLOBAL:
            return OneShard(CATALOG)
        case Target.UNSHARDED:
            return OneShard(next(iter(shard_map.shards)))
        case Target.REFERENCE if query.access is Access.WRITE:
            shards = tuple(shard_map.shards)
            if len(shards) > 1:
                raise refusal(query.together)
            return OneShard(shards[0])
        case Target.REFERENCE | Target.NOTHING:
            _check_opaque(query, context, shard_map)
            return AnyShard(_any(context, shard_map))
        case Target.SHARDED:
            raise AssertionError("sharded targets are routed by tenant")
        case _:
            assert_never(query.target)


def _entries(
    query: Query, context: QueryContext, shard_map: ShardMap, route: Route, fences: Fences
) -> Entries:
    """What a statement enters that names no sharded table: a function may write any, in its body."""
    if shard_map.undivided or query.target is not Target.NOTHING:
        return ()
    if not isinstance(route, AnyShard):
        return ()
    if context.tenant is not None:
        return entries_of(shard_map, context.tenant)
    if query.access is Access.READ:
        return ()
    return entries_of_many(shard_map, None, route.shard, fences)


def _check_opaque(query: Query, context: QueryContext, shard_map: ShardMap) -> None:
    """A function that may read rows is answered by the one shard of a tenant, or of all."""
    if context.tenant is not None or len(shard_map.homes) <= 1:
        return
    if query.opaque is not None:
        raise FunctionRefused(
            f"the function {query.opaque} may read rows of several shards",
            hint="Name the tenant; or, if it reads its arguments only, let its owner say so with"
            f" ALTER FUNCTION {query.opaque} SET {SAFE_MARK} = on.",
        )
    if query.local is not None:
        raise FunctionRefused(
            f"the function {query.local} may read rows of several shards",
            hint="Name the tenant; or declare it IMMUTABLE, if it reads its arguments only.",
        )


def _any(context: QueryContext, shard_map: ShardMap) -> ShardId:
    """The tenant's own shard, else one that stays the same for a session."""
    if context.tenant is not None:
        return shard_map.owner(context.tenant)
    shards = shard_map.homes
    return shards[zlib.crc32(context.session.encode()) % len(shards)]


def _unscoped(  # noqa: PLR0913, PLR0917 - what a plan depends on
    query: Query,
    statement: Statement,
    context: QueryContext,
    shard_map: ShardMap,
    limits: PullUpLimits,
    fences: Fences,
) -> Plan:
    args = statement.args
    tenants = concerned(query, args)
    if tenants is None:
        shards = shard_map.homes
    else:
        owners = {shard_map.owner(tenant) for tenant in tenants}
        shards = tuple(shard for shard in shard_map.homes if shard in owners)
    if query.access is Access.WRITE:
        _check_write(query, args, tenants)
        if len(shards) > 1:
            inserted = _inserted(query, args) if query.inserts else ()
            of_rows = [shard_map.owner(tenant) for tenant in inserted]
            route = EveryShard(shards) if tenants is None else SomeShards(shards)
            entries = [entries_of_many(shard_map, tenants, shard, fences) for shard in shards]
            return spread(query, statement, route, shards, of_rows, entries)
        home = shards[0] if shards else shard_map.homes[0]
        within = entries_of_many(shard_map, tenants, home, fences)
        return _single(query, statement, OneShard(home), context, within)
    if not shards:
        return _single(query, statement, AnyShard(_any(context, shard_map)), context)
    if len(shards) == 1:
        within = () if tenants is None else entries_of_many(shard_map, tenants, shards[0], fences)
        return _single(query, statement, OneShard(shards[0]), context, within)
    route = EveryShard(shards) if tenants is None else SomeShards(shards)
    if query.pull_up is not None:
        return pulled_up(query, query.pull_up, statement, route, context, limits)
    return gathered(query, statement, route)


def concerned(query: Query, args: Args) -> frozenset[TenantId] | None:
    """The tenants whose rows a statement concerns by its own keys; None: any tenant's.

    Raises:
        QueryRefused: A key is not of the map's type, or a row to be inserted has none.
        TenantKeyNull: A row to be inserted has NULL.
    """
    tenants = _tenants(query.scope, args, query.key_type)
    if not query.inserts:
        return tenants
    inserted = frozenset(_inserted(query, args))
    return None if tenants is None else inserted | tenants


def _check_write(query: Query, args: Args, tenants: frozenset[TenantId] | None) -> None:
    if tenants is None and not query.filtered:
        raise FilterRequired(
            "an update or delete of a sharded table needs a filter",
            hint="Name the tenant, or say in WHERE which rows are meant.",
        )
    for key in _values(query.changed, args, query.key_type):
        if key is None:
            raise TenantKeyNull("the tenant key of a row cannot be NULL")
        if tenants is None or tenants != {key}:
            raise TenantKeyChanged("an update cannot change a row's tenant key")


def _inserted(query: Query, args: Args) -> Iterator[TenantId]:
    if not query.required:
        raise TenantKeyMissing(
            "an insert into a sharded table needs its tenant key",
            hint="Give the tenant column, or use a token or X-Tenant-ID that names the tenant.",
        )
    for key in _values(query.required, args, query.key_type):
        if key is None:
            raise TenantKeyNull("the tenant key of a row cannot be NULL")
        yield key


def _check_tenant(query: Query, args: Args, tenant: TenantId) -> None:
    for source in query.required:
        for key in _filled(source, args, query.key_type, tenant):
            if key is None:
                if query.inserts:
                    raise TenantKeyNull("the tenant key of a row cannot be NULL")
            elif key != tenant:
                raise OtherTenant("the statement names rows of another tenant")
    if not query.changed:
        return
    for key in _values(query.changed, args, query.key_type):
        if key is None:
            raise TenantKeyNull("the tenant key of a row cannot be NULL")
        if key != tenant:
            raise TenantKeyChanged("an update cannot change a row's tenant key")


def _filled(
    source: Source, args: Args, key_type: KeyType, tenant: TenantId
) -> Iterator[TenantId | None]:
    """The keys of a source; a record that lacks the field is filled with the tenant."""
    if isinstance(source, RecordField):
        for row in _records(args[source.index]).rows:
            yield _key(row[source.field], key_type) if source.field in row else tenant
    else:
        yield from _values((source,), args, key_type)


def _tenants(scope: Scope, args: Args, key_type: KeyType) -> frozenset[TenantId] | None:
    """The tenants that a scope allows, or None for any. NULL equals no tenant."""
    match scope:
        case Unbounded():
            return None
        case Keys(sources):
            return frozenset(key for key in _values(sources, args, key_type) if key is not None)
        case Both(parts):
            sets = [_tenants(part, args, key_type) for part in parts]
            known = [tenants for tenants in sets if tenants is not None]
            return frozenset.intersection(*known) if known else None
        case Either(parts):
            sets = [_tenants(part, args, key_type) for part in parts]
            known = [tenants for tenants in sets if tenants is not None]
            return frozenset.union(*known) if len(known) == len(sets) else None
        case _:
            assert_never(scope)


def _values(sources: Sequence[Source], args: Args, key_type: KeyType) -> Iterator[TenantId | None]:
    for source in sources:
        match source:
            case Constant(value):
                yield _key(value, key_type)
            case Param(index):
                yield _key(args[index], key_type)
            case ParamArray(index):
                for item in _items(args[index], index):
                    yield _key(item, key_type)
            case RecordField(index, name):
                for row in _records(args[index]).rows:
                    if name not in row:
                        raise TenantKeyMissing("a row of the insert lacks its tenant key")
                    yield _key(row[name], key_type)
            case _:
                assert_never(source)


def _items(value: object, index: int) -> Sequence[object]:
    """The elements of an array argument; NULL has none."""
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise StatementNotUnderstood(f"argument ${index + 1} must be an array")
    return value


def _records(value: object) -> JsonRows:
    if not isinstance(value, JsonRows):
        raise StatementNotUnderstood("rows for an insert must be given as JsonRows")
    return value


def _key(value: object, key_type: KeyType) -> TenantId | None:
    if value is None:
        return None
    try:
        return tenant_id(key_type, value)
    except InvalidTenantKey as error:
        raise TenantKeyInvalid(str(error)) from error


def _check_arguments(query: Query, args: Args) -> None:
    if query.parameters != len(args):
        raise StatementNotUnderstood(
            f"the statement takes {query.parameters} argument(s), {len(args)} were given"
        )


def _single(
    query: Query,
    statement: Statement,
    route: Route,
    context: QueryContext,
    entries: Entries = (),
) -> Plan:
    args = sent(statement.args)
    if query.scoped and context.tenant is not None:
        args = (*args, context.tenant)
    asked = ShardQuery(
        query.sql,
        args,
        query.access,
        query.claims,
        query.inline_position,
        statement.exactly,
        1 if query.reply is Reply.ENVELOPE else None,
        entries=entries,
    )
    together = None
    if query.unique:
        parts = tuple(Part(shard, asked) for shard in shards_of(route))
        together = Together(parts, statement.exactly, unique=query.unique)
    return Plan(route, asked, _SINGLE, query.reply, query.total, together)
