"""The REST API over a twin of the router, and a small schema to ask about."""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from multidict import CIMultiDict

from router import Column, Deadline, Kind, RouterError, Schema, Table
from server.errors import Dialect, ServerError, failure_of, failure_reply
from server.exchange import Principal, Reply, Request
from server.rest import Limits, Tables
from shardmap import ShardMapError, TableName, TenantId


def _load(name):
    path = Path(__file__).parents[3] / "fakes" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"rest_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RecordingAnswers = _load("recording_answers").RecordingAnswers

CATEGORIES = {
    "int4": "N",
    "int8": "N",
    "numeric": "N",
    "text": "S",
    "varchar": "S",
    "bool": "B",
    "timestamptz": "D",
    "jsonb": "U",
    "json": "U",
    "int4range": "R",
    "tsvector": "U",
    "uuid": "U",
    '"public"."mood"': "E",
    '"public"."address"': "C",
}


def column(name, type_, *, has_default=False):
    array = type_.endswith("[]")
    return Column(
        name=name,
        type=type_,
        not_null=False,
        has_default=has_default,
        generated=False,
        array=array,
        category="A" if array else CATEGORIES[type_],
        mergeable=True,
    )


def table(name, columns, *, key=(), uniques=(), kind=Kind.TABLE, rls=True):
    schema, relation = name.split(".", 1)
    return Table(
        name=TableName(name),
        schema=schema,
        relation=relation,
        kind=kind,
        columns={each.name: each for each in columns},
        primary_key=key,
        uniques=(key, *uniques) if key else uniques,
        rls=rls,
        triggered=False,
        computed_defaults=False,
    )


ORDERS = [
    column("tenant_id", "int4"),
    column("id", "int8", has_default=True),
    column("note", "text"),
    column("total", "numeric"),
    column("mood", '"public"."mood"', has_default=True),
    column("placed_at", "timestamptz"),
    column("data", "jsonb"),
    column("raw", "json"),
    column("tags", "text[]"),
    column("nums", "int4[]"),
    column("period", "int4range"),
    column("active", "bool"),
    column("doc", "tsvector"),
    column("home", '"public"."address"'),
    column('od"d.,name', "text"),
]

SCHEMA = Schema(
    version="1",
    tables={
        each.name: each
        for each in (
            table(
                "public.orders",
                ORDERS,
                key=("tenant_id", "id"),
                uniques=(("tenant_id", "note"), ("doc",)),
            ),
            table(
                "public.countries",
                [column("code", "text"), column("name", "text")],
                key=("code",),
                rls=False,
            ),
            table("public.logs", [column("line", "text")], rls=False),
            table(
                "public.open_orders",
                [column("id", "int8"), column("note", "text")],
                kind=Kind.VIEW,
            ),
            table("app.things", [column("id", "int4"), column("name", "text")], key=("id",)),
            table("hidden.secrets", [column("id", "int4")], key=("id",)),
            table("public.wörter", [column("id", "int4")], key=("id",)),
        )
    },
    exposed=("public", "app"),
)


def tenant_column(name):
    return "tenant_id" if name == "public.orders" else None


@dataclass
class Rest:
    """Asks the REST API, as the server's front would, and shows what the router was asked."""

    answers: RecordingAnswers
    tables: Tables
    schema: Schema = SCHEMA

    async def native(self, method, url, body=None, *, role="authenticated", **headers) -> Reply:
        request = _request(method, f"/api/v1/tables{url}", body, role=role, headers=headers)
        return await self._reply(self.tables.native, request, Dialect.NATIVE)

    async def postgrest(self, method, url, body=None, *, role="authenticated", **headers) -> Reply:
        request = _request(method, f"/rest/v1{url}", body, role=role, headers=headers)
        return await self._reply(self.tables.postgrest, request, Dialect.POSTGREST)

    async def _reply(self, handler, request, dialect):
        try:
            return await handler(request)
        except (ServerError, RouterError, ShardMapError) as error:
            failure = failure_of(error, dialect, role=request.principal.role)
            return failure_reply(failure, dialect, request.request_id)

    @property
    def statement(self):
        """The one statement that the router was asked."""
        assert len(self.answers.statements) == 1, self.answers.statements
        return self.answers.statements[0]

    @property
    def asked(self):
        """Its text and arguments."""
        return self.statement.sql, list(self.statement.args)


def _request(method, url, body, *, role, headers):
    path, _, query = url.partition("?")
    if body is not None and not isinstance(body, bytes):
        body = (body if isinstance(body, str) else json.dumps(body)).encode()
    return Request(
        method=method,
        path=path,
        query=query,
        headers=CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}),
        body=body or b"",
        request_id="req-1",
        deadline=Deadline.after(60),
        principal=Principal(role, TenantId("7"), "session", "{}"),
    )


def make_rest(**limits) -> Rest:
    answers = RecordingAnswers()
    rest = Rest(answers, None)
    rest.tables = Tables(answers, lambda: rest.schema, tenant_column, Limits(**limits))
    return rest


@pytest.fixture
def rest() -> Rest:
    return make_rest()


@pytest.fixture
def make():
    """Make a REST API with other limits."""
    return make_rest
