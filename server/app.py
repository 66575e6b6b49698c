"""The application: which routes there are, and what every request passes."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from router import NOTHING_SEEN, Router, Schema
from server.admin import (
    AdminPort,
    Health,
    MapDoor,
    Metrics,
    MovesDoor,
    Operators,
    TenantsDoor,
)
from server.auth import Authenticator, keys_of
from server.errors import Dialect
from server.front import Front
from server.front.turnstile import Turnstile
from server.idempotency import Idempotency, KeyedRouter
from server.lifecycle import Lifecycle
from server.middleware.cors import Cors
from server.middleware.entry import Doorkeeper
from server.observe.board import Board
from server.observe.facts import FactObserver
from server.openapi import Documents, Mode, OpenApiDoor, RootDocument, RootSpec, place_of
from server.policies import Policies, policies
from server.positions import Positions
from server.rest import Answers, Limits, Noting, Tables, surroundings, told
from server.routes import Route, Routes
from server.rpc import Library, RpcDoor, load_procedures
from server.services import Services, backend_settings
from server.settings import Settings
from server.sql import SqlDoor, SqlLimits, Statements
from server.standalone import at_root
from server.startup import version_of


def api(  # noqa: PLR0913, PLR0917 - what a front is made of
    settings: Settings,
    services: Services,
    board: Board,
    lifecycle: Lifecycle,
    observe: FactObserver,
    turnstile: Turnstile,
) -> Front:
    """The front of the API port."""
    documents, library = Documents(services, services.schema), load_procedures(settings.rpc)
    if settings.postgrest.standalone:
        tables = tuple(at_root(_tables(settings, services, documents, library)))
        return _front(settings, services, lifecycle, observe, turnstile, tables)
    positions = Positions(position_secret(settings), services.current_map, services.catch_up)
    routes = (
        *Health(lifecycle, services.status, services.schema).routes(),
        *((Metrics(board, settings.metrics.path).route(),) if settings.metrics.enabled else ()),
        *_tables(settings, services, documents, library),
        *_sql(settings, services, positions),
        *_admin(settings, services),
    )
    if settings.openapi.docs:
        door = OpenApiDoor(
            documents,
            services.tenant_column,
            _root_spec(settings),
            library,
            routes,
            anonymous=settings.auth.anonymous,
        )
        routes = (*routes, *door.routes())
    return _front(
        settings,
        services,
        lifecycle,
        observe,
        turnstile,
        routes,
        positions if settings.freshness.position_header else None,
    )


def operators_port(  # noqa: PLR0913, PLR0917 - as above
    settings: Settings,
    services: Services,
    board: Board,
    lifecycle: Lifecycle,
    observe: FactObserver,
    turnstile: Turnstile,
) -> Front:
    """The front of the port that is not for clients: the admin port, or that of the metrics."""
    metrics = Metrics(board, settings.metrics.path)
    routes: tuple[Route, ...] = metrics.own_port_routes()
    if settings.postgrest.admin_address is not None:
        health = Health(lifecycle, services.status, services.schema)
        routes = tuple(AdminPort(health, metrics, settings, services.schema).routes())
    return _front(settings, services, lifecycle, observe, turnstile, routes)


def position_secret(settings: Settings) -> str:
    """What position tokens are signed with: a secret that all instances share, and no client knows.

    Where tokens are checked with public keys, it is made of the database's address and password.
    """
    keys = keys_of(settings.auth)
    if keys is not None and keys.secret:
        return settings.auth.jwt_secret
    return hashlib.blake2b((settings.database.url or "").encode(), person=b"position").hexdigest()


def _tables(
    settings: Settings, services: Services, documents: Documents, library: Library
) -> tuple[Route, ...]:
    api_settings = settings.api
    limits = Limits(
        default_page_size=api_settings.default_page_size,
        max_page_size=api_settings.max_page_size,
        max_total_results=api_settings.max_total_results,
        max_batch_size=api_settings.max_batch_size,
        max_rows=api_settings.max_rows or None,
        aggregates=api_settings.aggregates,
        plans=api_settings.plans,
        stream_s=settings.http.stream_timeout_s,
        tx_override=settings.request.tx_end.endswith("-allow-override"),
    )
    around = surroundings(settings.request.pre_request, settings.request.tx_end).around

    preparing: list[Callable[[Schema], None]] = []

    def routes(router: Router | KeyedRouter) -> tuple[Route, ...]:
        asked: Answers = Noting(router) if api_settings.served_by else router
        tables = Tables(asked, services.schema, services.tenant_column, limits, _policies(settings))
        preparing.append(tables.prepare)
        root = RootDocument(
            documents, services.tenant_column, _root_spec(settings), tables.postgrest
        )
        if not settings.rpc.enabled:
            return tables.routes(root.handle)
        rpc = RpcDoor(router, services.schema, library, settings.rpc, tables.postgrest)
        return (*tables.routes(root.handle), *rpc.routes())

    found = routes(services.router)
    if not settings.postgrest.standalone:  # whose database has no room for keys
        found = Idempotency(services.router).routes(found, routes(KeyedRouter()))
    found = tuple(
        replace(
            route,
            handler=around(
                route.handler, services.schema, postgrest=route.dialect is Dialect.POSTGREST
            ),
        )
        for route in found
    )
    services.prepare_with(preparing)
    if not api_settings.served_by:
        return found
    return tuple(replace(route, handler=told(route.handler)) for route in found)


def _root_spec(settings: Settings) -> RootSpec:
    told, address = settings.openapi, settings.http.address
    place = "/" if settings.postgrest.standalone else "/rest/v1"
    return RootSpec(
        Mode(told.mode),
        place_of(told.url, (address.host, address.port), place),
        version_of("fluxshard"),
        security=told.security,
        function=told.root_function,
    )


def _sql(settings: Settings, services: Services, positions: Positions) -> tuple[Route, ...]:
    if not settings.sql.enabled:
        return ()
    connections = backend_settings(settings, settings.process.workers).max_connections
    limits = SqlLimits(
        most=min(settings.sql.max_transactions, connections - 1),  # one describes statements
        request_timeout_s=settings.http.request_timeout_s,
        stream_s=settings.http.stream_timeout_s,
    )

    def routes(router: Statements) -> tuple[Route, ...]:
        return SqlDoor(
            router,
            services.schema,
            settings.sql,
            limits,
            served_by=settings.api.served_by,
            consistency=_policies(settings).of_sql,
            position=partial(positions.write, NOTHING_SEEN),
        ).routes()

    return Idempotency(services.router).routes(routes(services.router), routes(KeyedRouter()))


def _admin(settings: Settings, services: Services) -> tuple[Route, ...]:
    operators = Operators(services.current_map, settings.environ)
    return (
        *MapDoor(operators).routes(),
        *MovesDoor(operators, services.tasks).routes(),
        *TenantsDoor(operators).routes(),
    )


def _front(  # noqa: PLR0913, PLR0917 - what a front is made of
    settings: Settings,
    services: Services,
    lifecycle: Lifecycle,
    observe: FactObserver,
    turnstile: Turnstile,
    routes: tuple[Route, ...],
    positions: Positions | None = None,
) -> Front:
    authenticator = Authenticator(settings.auth, lambda: services.current_map().key_type)
    return Front(
        Routes(routes),
        Doorkeeper(authenticator, anonymous=settings.auth.anonymous),
        Cors(settings.cors),
        settings=settings.http,
        lifecycle=lifecycle,
        observe=observe,
        positions=positions,
        turnstile=turnstile,
        trace=settings.postgrest.trace_header,
        timing=settings.postgrest.server_timing,
        only=Dialect.POSTGREST if settings.postgrest.standalone else None,
    )


def _policies(settings: Settings) -> Policies:
    freshness = settings.freshness
    return policies(freshness.consistency, freshness.routes, settings.api.exposed_schemas[0])
