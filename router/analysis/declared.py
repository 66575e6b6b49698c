"""A schema from SQL text: CREATE TABLE and CREATE VIEW read as the catalogs would have them.

What a dump holds besides (functions, grants, comments, data) is passed over; what names a table's
keys, indexes, triggers and row security is not. Text in the database's own collation counts as
ordered by bytes, as embedded clusters have it.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import sqlglot
from sqlglot import Token, TokenType
from sqlglot import expressions as exp
from sqlglot.errors import SqlglotError

from router.analysis.scopes import folded
from router.errors import RouterError
from router.schema import Column, Kind, Schema, Table
from router.setup_errors import DeclarationNotUnderstood
from shardmap import TableName

DIALECT: Final = "postgres"
DEFAULT_SCHEMA: Final = "public"

_TYPES: Final[dict[exp.DType, tuple[str, str, bool]]] = {
    exp.DType.SMALLINT: ("int2", "N", True),
    exp.DType.INT: ("int4", "N", True),
    exp.DType.BIGINT: ("int8", "N", True),
    exp.DType.SMALLSERIAL: ("int2", "N", True),
    exp.DType.SERIAL: ("int4", "N", True),
    exp.DType.BIGSERIAL: ("int8", "N", True),
    exp.DType.DECIMAL: ("numeric", "N", True),
    exp.DType.FLOAT: ("float4", "N", True),
    exp.DType.DOUBLE: ("float8", "N", True),
    exp.DType.BOOLEAN: ("bool", "B", True),
    exp.DType.TEXT: ("text", "S", True),
    exp.DType.VARCHAR: ("varchar", "S", True),
    exp.DType.NAME: ("name", "S", True),
    exp.DType.CHAR: ("bpchar", "S", False),
    exp.DType.BPCHAR: ("bpchar", "S", False),
    exp.DType.DATE: ("date", "D", True),
    exp.DType.TIME: ("time", "D", True),
    exp.DType.TIMETZ: ("timetz", "D", False),
    exp.DType.TIMESTAMP: ("timestamp", "D", True),
    exp.DType.TIMESTAMPTZ: ("timestamptz", "D", True),
    exp.DType.INTERVAL: ("interval", "T", False),
    exp.DType.UUID: ("uuid", "U", True),
    exp.DType.VARBINARY: ("bytea", "U", True),
    exp.DType.JSON: ("json", "U", False),
    exp.DType.JSONB: ("jsonb", "U", False),
}
"""Name, category and whether values can be ordered outside PostgreSQL."""

_SERIAL: Final = frozenset({exp.DType.SMALLSERIAL, exp.DType.SERIAL, exp.DType.BIGSERIAL})
_BY_BYTES: Final = frozenset({"C", "POSIX", "C.UTF-8", "C.utf8", "ucs_basic", "pg_c_utf8"})

_PSQL: Final = re.compile(r"(?m)^\\[^\n]*$")
"""Commands of psql in a dump: `\\connect`, `\\restrict` …"""

_ROW_SECURITY: Final = re.compile(
    r"TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?(?P<table>\S+)\s+ENABLE\s+ROW\s+LEVEL\s+SECURITY",
    re.IGNORECASE,
)


@dataclass(slots=True)
class _Draft:
    """A table in the making."""

    kind: Kind
    columns: dict[str, Column]
    primary_key: tuple[str, ...] = ()
    uniques: list[tuple[str, ...]] = field(default_factory=list)
    rls: bool = False
    triggered: bool = False
    computed: bool = False


def declared_schema(text: str) -> Schema:
    """The tables and views that the statements of the text make, in their order.

    Raises:
        DeclarationNotUnderstood: A CREATE TABLE or VIEW does not parse, or the text has no end.
    """
    reader = _Reader()
    for statement in _statements(_PSQL.sub("", text)):
        reader.read(statement)
    tables = {name: _finished(name, draft) for name, draft in sorted(reader.drafts.items())}
    digest = hashlib.blake2b(repr(tables).encode(), digest_size=8).hexdigest()
    return Schema(version=digest, tables=tables)


def _statements(text: str) -> Iterator[str]:
    try:
        tokens = sqlglot.tokenize(text, dialect=DIALECT)
    except SqlglotError as error:
        first = str(error).split("\n", 1)[0][:200]
        raise DeclarationNotUnderstood(f"the text cannot be read: {first}") from error
    begun: Token | None = None
    for token in tokens:
        if token.token_type is TokenType.SEMICOLON:
            if begun is not None:
                yield text[begun.start : token.start]
            begun = None
        elif begun is None:
            begun = token
    if begun is not None:
        yield text[begun.start :]


class _Reader:
    """Takes one statement after the other."""

    def __init__(self) -> None:
        self.drafts: dict[TableName, _Draft] = {}

    def read(self, sql: str) -> None:
        words = sql.split(maxsplit=3)
        if words[0].upper() not in {"CREATE", "ALTER"}:
            return
        try:
            tree = sqlglot.parse_one(sql, dialect=DIALECT)
            self._take(tree)
        except (SqlglotError, RouterError) as error:
            if re.match(r"CREATE\s+(UNLOGGED\s+)?(TABLE|VIEW)\b", sql, re.IGNORECASE):
                message = f"a declaration does not parse: {' '.join(words)[:80]} …"
                raise DeclarationNotUnderstood(message) from error

    def _take(self, tree: exp.Expr) -> None:
        match tree:
            case exp.Create(kind="TABLE"):
                self._table(tree)
            case exp.Create(kind="VIEW"):
                self._view(tree)
            case exp.Create(kind="INDEX") if tree.args.get("unique"):
                self._index(tree)
            case exp.Create(kind="TRIGGER"):
                for found in tree.find_all(exp.Table):
                    if (draft := self.drafts.get(_name(found))) is not None:
                        draft.triggered = True
            case exp.Alter():
                self._alter(tree)
            case exp.Command():
                self._row_security(tree)

    def _table(self, tree: exp.Create) -> None:
        target = tree.this
        if tree.find(exp.PartitionedOfProperty) is not None:
            return  # rows of a partition belong to its table
        if not isinstance(target, exp.Schema):
            query = tree.args.get("expression")
            columns = dict(self._outputs(query)) if isinstance(query, exp.Select) else {}
            self.drafts[_name(target)] = _Draft(Kind.TABLE, columns)
            return
        parted = tree.find(exp.PartitionedByProperty) is not None
        draft = _Draft(Kind.PARTITIONED if parted else Kind.TABLE, {})
        self.drafts[_name(target.this)] = draft
        for part in target.expressions:
            if isinstance(part, exp.LikeProperty):
                draft.columns.update(getattr(self.drafts.get(_name(part.this)), "columns", {}))
            else:
                _part(draft, part)

    def _view(self, tree: exp.Create) -> None:
        target, query = tree.this, tree.args.get("expression")
        materialized = tree.find(exp.MaterializedProperty) is not None
        outputs = list(self._outputs(query)) if isinstance(query, exp.Select) else []
        name = target.this if isinstance(target, exp.Schema) else target
        if isinstance(target, exp.Schema):
            given = [folded(part.this) for part in target.expressions]
            outputs = [
                (new, column) for new, (_, column) in zip(given, outputs, strict=False)
            ] + outputs[len(given) :]
        kind = Kind.MATERIALIZED_VIEW if materialized else Kind.VIEW
        self.drafts[_name(name)] = _Draft(kind, dict(outputs))

    def _outputs(self, query: exp.Select) -> Iterator[tuple[str, Column]]:
        """The columns of a query: those of a table as they are there, others of no known type."""
        sources = [self.drafts.get(_name(found)) for found in query.find_all(exp.Table)]
        known = [source.columns for source in sources if source is not None]
        for item in query.expressions:
            inner = item.this if isinstance(item, exp.Alias) else item
            if item.is_star:
                for columns in known:
                    yield from columns.items()
                continue
            name = str(item.alias_or_name).lower() or "?column?"
            found = [
                columns[inner.name]
                for columns in known
                if isinstance(inner, exp.Column) and inner.name in columns
            ]
            yield name, found[0] if len(found) == 1 else _unknown(name)

    def _index(self, tree: exp.Create) -> None:
        index = tree.this
        params = index.args.get("params")
        draft = self.drafts.get(_name(index.args["table"]))
        if draft is None or params is None or params.args.get("where") is not None:
            return
        columns = [
            part.this if isinstance(part, exp.Ordered) else part for part in params.args["columns"]
        ]
        if all(isinstance(column, exp.Column) for column in columns):
            draft.uniques.append(tuple(folded(column.this) for column in columns))

    def _alter(self, tree: exp.Alter) -> None:
        draft = self.drafts.get(_name(tree.this))
        if draft is None:
            return
        for action in tree.args.get("actions") or ():
            if isinstance(action, exp.AddConstraint):
                for part in action.expressions:
                    _part(draft, part)
            elif isinstance(action, exp.ColumnDef):
                _part(draft, action)

    def _row_security(self, tree: exp.Command) -> None:
        text = tree.args.get("expression")
        match = (
            _ROW_SECURITY.match(str(text).strip()) if str(tree.this).upper() == "ALTER" else None
        )
        if match is None:
            return
        table = sqlglot.parse_one(f"SELECT FROM {match['table']}", dialect=DIALECT).find(exp.Table)
        draft = self.drafts.get(_name(table)) if table is not None else None
        if draft is not None:
            draft.rls = True


def _name(node: exp.Expr) -> TableName:
    if not isinstance(node, exp.Table):
        raise DeclarationNotUnderstood("a table's name is not understood")
    schema = folded(node.args["db"]) if node.args.get("db") is not None else DEFAULT_SCHEMA
    return TableName(f"{schema}.{folded(node.this)}")


def _part(draft: _Draft, part: exp.Expr) -> None:
    """One element between the parentheses of CREATE TABLE."""
    match part:
        case exp.ColumnDef():
            _column(draft, part)
        case exp.Constraint():
            for inner in part.expressions:
                _part(draft, inner)
        case exp.PrimaryKey():
            draft.primary_key = _columns(part.expressions)
        case exp.UniqueColumnConstraint():
            inner = part.this
            listed = inner.expressions if isinstance(inner, exp.Schema) else part.expressions
            draft.uniques.append(_columns(listed))


def _columns(parts: Sequence[exp.Expr]) -> tuple[str, ...]:
    found = [part.find(exp.Identifier) for part in parts]
    return tuple(folded(identifier) for identifier in found if identifier is not None)


def _column(draft: _Draft, node: exp.ColumnDef) -> None:
    name = folded(node.this)
    kinds = [part.args.get("kind") for part in node.args.get("constraints") or ()]
    if any(isinstance(kind, exp.PrimaryKeyColumnConstraint) for kind in kinds):
        draft.primary_key = (name,)
    if any(isinstance(kind, exp.UniqueColumnConstraint) for kind in kinds):
        draft.uniques.append((name,))
    defaults = [kind for kind in kinds if isinstance(kind, exp.DefaultColumnConstraint)]
    identities = [
        kind for kind in kinds if isinstance(kind, exp.GeneratedAsIdentityColumnConstraint)
    ]
    computed = any(isinstance(kind, exp.ComputedColumnConstraint) for kind in kinds)
    collations = {
        str(kind.this.name) for kind in kinds if isinstance(kind, exp.CollateColumnConstraint)
    }
    declared = node.args.get("kind")
    type_, category, mergeable, array, serial = _type(declared)
    not_null = any(
        isinstance(kind, exp.NotNullColumnConstraint) and not kind.args.get("allow_null")
        for kind in kinds
    )
    draft.computed |= (
        serial
        or computed
        or any(
            not isinstance(default.this, exp.Literal | exp.Null | exp.Boolean)
            for default in defaults
        )
    )
    draft.columns[name] = Column(
        name=name,
        type=type_,
        not_null=not_null or serial or name in draft.primary_key,
        has_default=bool(defaults or identities) or serial,
        generated=computed or any(bool(identity.this) for identity in identities),
        array=array,
        category=category,
        mergeable=mergeable and collations <= _BY_BYTES,
    )


def _type(declared: exp.Expr | None) -> tuple[str, str, bool, bool, bool]:
    """Name, category, mergeable, an array, made by a sequence."""
    if not isinstance(declared, exp.DataType):
        return "unknown", "X", False, False, False
    if declared.this is exp.DType.ARRAY:
        inner = _type(declared.expressions[0] if declared.expressions else None)
        return f"{inner[0].removesuffix('[]')}[]", "A", False, True, False
    found = _TYPES.get(declared.this)
    if found is None:
        return declared.sql(dialect=DIALECT), "U", False, False, False
    return *found, False, declared.this in _SERIAL


def _unknown(name: str) -> Column:
    return Column(
        name=name,
        type="unknown",
        not_null=False,
        has_default=False,
        generated=False,
        array=False,
        category="X",
        mergeable=False,
    )


def _finished(name: TableName, draft: _Draft) -> Table:
    schema, _, relation = name.partition(".")
    return Table(
        name=name,
        schema=schema,
        relation=relation,
        kind=draft.kind,
        columns=draft.columns,
        primary_key=draft.primary_key,
        uniques=tuple(sorted({key for key in draft.uniques if key})),
        rls=draft.rls,
        triggered=draft.triggered,
        computed_defaults=draft.computed,
    )
