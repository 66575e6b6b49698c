"""Names of a request resolved to tables, and the templates made for them, per schema version."""

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Final, Generic, TypeVar

from router import Schema, Table
from server.policies import Policies
from server.rest.build import build
from server.rest.errors import TableUnknown
from server.rest.relations import Relations, TenantColumn
from server.rest.request import TableRequest
from server.rest.template import Template
from shardmap import TableName

MAX_ENTRIES: Final = 2048
"""Shapes kept: an application has hundreds, an attacker as many as it likes."""

MAX_SQL_CHARS: Final = 4096
"""Longer statements are built each time, so that what is kept stays within some megabytes."""

Value = TypeVar("Value")


class Memo(Generic[Value]):
    """Values by key for one schema. When full, the oldest is forgotten; a new schema forgets all."""

    __slots__ = ("_entries", "_schema")

    def __init__(self) -> None:
        self._schema: Schema | None = None
        self._entries: dict[Hashable, Value] = {}

    def of(self, schema: Schema) -> dict[Hashable, Value]:
        """The entries made from this schema, to be read."""
        if schema is not self._schema:
            self._schema, self._entries = schema, {}
        return self._entries

    def keep(self, key: Hashable, value: Value) -> None:
        """Adds an entry for the schema last asked for."""
        if len(self._entries) >= MAX_ENTRIES:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = value


class Catalogue:
    """The tables that clients may name, and the SQL of requests on them."""

    def __init__(
        self,
        schema: Callable[[], Schema],
        tenant_column: TenantColumn,
        policies: Policies | None = None,
    ) -> None:
        self._schema = schema
        self._tenant_column = tenant_column
        self._policies = policies or Policies()
        self._relations: tuple[Schema, Relations] | None = None
        self._prepared: tuple[Schema, Relations] | None = None
        self._templates: Memo[Template] = Memo()

    @property
    def schema(self) -> Schema:
        """The schema as it is now; read once a request."""
        return self._schema()

    def template(self, request: TableRequest, table: Table, schema: Schema) -> Template:
        """The request's statement, built at most once while it is remembered.

        Raises:
            ColumnUnknown: It names a column that the table does not have.
            RelationshipMissing: It embeds what is not related to the table.
            RelationshipAmbiguous: It embeds what is related in several ways.
        """
        template = self._templates.of(schema).get(request)
        if template is None:
            template = replace(
                build(request, table, self._related(schema)),
                consistency=self._policies.of_table(table.name),
            )
            if len(template.sql) <= MAX_SQL_CHARS:
                self._templates.keep(request, template)
        return template

    def prepare(self, schema: Schema) -> None:
        """Work out what is asked of a schema as a whole, before it is the one in use.

        Called in a thread: the relations of the schema before stay until they are replaced.
        """
        self._prepared = (schema, Relations(schema, self._tenant_column))

    def _related(self, schema: Schema) -> Relations:
        """The relationships of the schema, worked out once."""
        if self._relations is None or self._relations[0] is not schema:
            prepared = self._prepared
            if prepared is not None and prepared[0] is schema:
                self._relations = prepared
                return prepared[1]
            self._relations = (schema, Relations(schema, self._tenant_column))
        return self._relations[1]


def table_of(schema: Schema, namespace: str, relation: str) -> Table:
    """The exposed table of that name.

    Raises:
        TableUnknown: There is none.
    """
    if namespace not in schema.exposed:
        raise TableUnknown(namespace, relation, ())
    table = schema.table(TableName(f"{namespace}.{relation}"))
    # names may hold dots themselves: "a.b"."c" is not "a"."b.c"
    if table is None or table.schema != namespace:
        known = (other.relation for other in schema.tables.values() if other.schema == namespace)
        raise TableUnknown(namespace, relation, known)
    return table
