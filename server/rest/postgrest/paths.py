"""Paths under /rest/v1 and the schema profiles: which table a request is about."""

from typing import Final

from router import Schema
from server.errors import MethodRefused, RouteUnknown
from server.exchange import Request
from server.rest.catalogue import table_of
from server.rest.desk import Target
from server.rest.errors import FeatureMissing, RootDisabled, SchemaUnknown
from server.rest.query_text import segment

PREFIX: Final = "/rest/v1"
METHODS: Final = ("OPTIONS", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
READS: Final = frozenset({"GET", "HEAD"})


def profile_of(request: Request) -> str | None:
    """The schema that the request's header names: Accept-Profile for reads, else Content-Profile."""
    name = "Accept-Profile" if request.method in READS else "Content-Profile"
    return request.headers.get(name)


def range_of(request: Request) -> str | None:
    """The range of rows that a read's header asks for; other requests have none."""
    if request.method not in READS or request.headers.get("Range-Unit", "items") != "items":
        return None
    return request.headers.get("Range")


def profiled(profile: str | None) -> tuple[tuple[str, str], ...]:
    """The header that names the schema of a reply, where the client chose it."""
    return () if profile is None else (("Content-Profile", profile),)


def target_of(request: Request, profile: str | None, schema: Schema) -> Target:
    """The table of the path.

    Raises:
        RootDisabled: The path is the root.
        RouteUnknown: It is deeper.
        SchemaUnknown: The profile is not exposed.
        TableUnknown: There is no such table.
        MethodRefused: Tables do not know the method.
    """
    segments = request.path.removeprefix(PREFIX).removesuffix("/").split("/")[1:]
    if not segments:
        raise RootDisabled
    if len(segments) > 1 or not segments[0]:
        raise RouteUnknown
    if request.method not in METHODS:
        raise MethodRefused(request.method, METHODS)
    namespace = schema.exposed[0] if profile is None else profile
    if namespace not in schema.exposed:
        raise SchemaUnknown(namespace, schema.exposed)
    target = Target(table_of(schema, namespace, segment(segments[0])), schema)
    if request.method not in {"OPTIONS", *READS} and not target.table.writable:
        raise FeatureMissing("Writes to views")
    return target
