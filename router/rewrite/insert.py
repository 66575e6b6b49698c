"""The tenant key of an insert: found in its rows, or filled in."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import Token, TokenType
from sqlglot import expressions as exp

from router.errors import TenantKeyChanged, UnsupportedAcrossShards
from router.parse import Parsed
from router.query import Param, RecordField, Source
from router.rewrite.splice import Edit, insertion
from router.scopes import Region, TableUse, folded, quoted
from router.tenant_keys import source_of
from shardmap import KeyType

_RECORDSETS = frozenset({"json_to_recordset", "jsonb_to_recordset"})


@dataclass(frozen=True, slots=True)
class InsertKeys:
    """Where the tenant keys of the inserted rows are; `column_index` None: nowhere."""

    column_index: int | None
    sources: tuple[Source, ...]


def insert_keys(tree: exp.Insert, column: str, key_type: KeyType) -> InsertKeys:
    """Finds the tenant column among the columns of an insert, and its value in each row.

    Raises:
        UnsupportedAcrossShards: The key cannot be known before PostgreSQL runs.
    """
    target = tree.this
    if not isinstance(target, exp.Schema):
        if tree.args.get("default"):
            return InsertKeys(None, ())
        raise UnsupportedAcrossShards(
            "an insert without a column list", hint="Name the columns of the insert."
        )
    names = [folded(identifier) for identifier in target.expressions]
    if column not in names:
        _source_rows(tree)
        return InsertKeys(None, ())
    index = names.index(column)
    return InsertKeys(index, tuple(_row_sources(tree, index, key_type)))


def _row_sources(tree: exp.Insert, index: int, key_type: KeyType) -> Iterator[Source]:
    rows = _source_rows(tree)
    if isinstance(rows, exp.Values):
        for row in rows.expressions:
            items = row.expressions if isinstance(row, exp.Tuple) else [row]
            _check_places(items[:index])
            source = source_of(items[index], key_type) if index < len(items) else None
            if source is None:
                raise UnsupportedAcrossShards("an insert whose tenant key is an expression")
            yield source
        return
    _check_places(rows.expressions[:index])
    projection = rows.expressions[index] if index < len(rows.expressions) else None
    if projection is None:
        raise UnsupportedAcrossShards("an insert whose tenant key is an expression")
    source = source_of(projection, key_type) or _record_field(rows, projection)
    if source is None:
        raise UnsupportedAcrossShards("an insert whose tenant key is an expression")
    yield source


def _check_places(before: list[exp.Expr]) -> None:
    """A star stands for several columns: what follows it has another place in the row."""
    if any(item.find(exp.Star) is not None for item in before):
        raise UnsupportedAcrossShards(
            "an insert whose tenant key stands behind a *", hint="Name the columns."
        )


def _source_rows(tree: exp.Insert) -> exp.Values | exp.Select:
    rows = tree.args.get("expression")
    if isinstance(rows, exp.Values | exp.Select):
        return rows
    raise UnsupportedAcrossShards("an insert from a set operation or a sub-select in parentheses")


def _record_field(rows: exp.Select, projection: exp.Expr) -> RecordField | None:
    """`x."column"` of a sole `FROM json_to_recordset($n) AS x(…)`."""
    from_ = rows.args.get("from_")
    if not isinstance(projection, exp.Column) or from_ is None or rows.args.get("joins"):
        return None
    table = from_.this
    if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Anonymous):
        return None
    call = table.this
    if call.name.lower() not in _RECORDSETS or len(call.expressions) != 1:
        return None
    value = call.expressions[0]
    while isinstance(value, exp.Cast):
        value = value.this
    if not isinstance(value, exp.Parameter):
        return None
    param = source_of(value, KeyType.TEXT)
    alias = table.args.get("alias")
    if not isinstance(param, Param) or alias is None or projection.args.get("table") is None:
        return None
    if folded(projection.args["table"]) != folded(alias.this):
        return None
    return RecordField(param.index, folded(projection.this))


def fill_edits(
    parsed: Parsed, use: TableUse, column: str, keys: InsertKeys, value: str
) -> Iterator[Edit]:
    """Edits that give the inserted rows the tenant `value` where they name none."""
    tree = parsed.tree
    if keys.column_index is not None:
        yield from _coalesce(tree, keys.column_index, keys.sources, value)
        return
    if tree.args.get("default"):
        start, end = _default_values(parsed, use.region)
        yield Edit(start, end, f"({quoted(column)}) VALUES ({value})")
        return
    opening = _index_after(parsed.tokens, use.node.this.meta["end"])
    while parsed.tokens[opening].token_type is not TokenType.L_PAREN:
        opening += 1
    closing = _closing(parsed.tokens, opening)
    yield insertion(parsed.tokens[closing].start, f", {quoted(column)}")
    if isinstance(tree.args["expression"], exp.Values):
        yield from _fill_values(parsed.tokens, use.region, value)
    else:
        yield insertion(_projection_end(parsed, closing), f", {value}")


def _coalesce(
    tree: exp.Expr, index: int, sources: tuple[Source, ...], value: str
) -> Iterator[Edit]:
    """Records that lack the key get the tenant; explicit NULLs are refused by the planner."""
    if not any(isinstance(source, RecordField) for source in sources):
        return
    rows = tree.args["expression"]
    projection = rows.expressions[index]
    yield insertion(projection.args["table"].meta["start"], "coalesce(")
    yield insertion(projection.this.meta["end"] + 1, f", {value})")


def _fill_values(tokens: tuple[Token, ...], region: Region, value: str) -> Iterator[Edit]:
    clause = region.clauses[TokenType.VALUES]
    at = _index_after(tokens, clause.content - 1)
    while at < len(tokens) and tokens[at].start < clause.end:
        if tokens[at].token_type is TokenType.L_PAREN:
            at = _closing(tokens, at)
            yield insertion(tokens[at].start, f", {value}")
        at += 1


def _projection_end(parsed: Parsed, closing: int) -> int:
    """Behind the last token of the select list that feeds the insert."""
    depth = 0
    tokens = parsed.tokens
    for index in range(closing + 1, len(tokens)):
        kind = tokens[index].token_type
        if kind is TokenType.L_PAREN:
            depth += 1
        elif kind is TokenType.R_PAREN:
            depth -= 1
        elif depth == 0 and (
            (kind is TokenType.FROM and tokens[index - 1].text.upper() != "DISTINCT")
            or kind in {TokenType.RETURNING, TokenType.WHERE}
            or (kind is TokenType.ON and tokens[index + 1].text.upper() == "CONFLICT")
        ):
            return tokens[index - 1].end + 1
    return tokens[-1].end + 1


def _default_values(parsed: Parsed, region: Region) -> tuple[int, int]:
    clause = region.clauses[TokenType.VALUES]
    before = _index_after(parsed.tokens, clause.start - 1) - 1
    return parsed.tokens[before].start, clause.content


def _index_after(tokens: tuple[Token, ...], offset: int) -> int:
    return next(index for index, token in enumerate(tokens) if token.start > offset)


def _closing(tokens: tuple[Token, ...], opening: int) -> int:
    depth = 0
    for index in range(opening, len(tokens)):
        if tokens[index].token_type is TokenType.L_PAREN:
            depth += 1
        elif tokens[index].token_type is TokenType.R_PAREN:
            depth -= 1
            if depth == 0:
                return index
    raise AssertionError("the parser accepted an open parenthesis")


def check_conflict(tree: exp.Insert, column: str) -> None:
    """Refuse a conflict clause that could touch another tenant's row, or change a key.

    Raises:
        UnsupportedAcrossShards: The conflict target lacks the tenant column.
        TenantKeyChanged: DO UPDATE gives the tenant column another value.
    """
    conflict = tree.args.get("conflict")
    if not isinstance(conflict, exp.OnConflict):
        return
    updates = conflict.expressions
    if updates:
        targets = {
            folded(key.this.this)
            for key in conflict.args.get("conflict_keys") or ()
            if isinstance(key, exp.Ordered) and isinstance(key.this, exp.Column)
        }
        if column not in targets:
            raise UnsupportedAcrossShards(
                "an upsert whose conflict target lacks the tenant column",
                hint=f"Name a unique key that contains {column}.",
            )
    for update in updates:
        if not isinstance(update, exp.EQ) or not isinstance(update.this, exp.Column):
            raise UnsupportedAcrossShards("an upsert that assigns several columns at once")
        if folded(update.this.this) == column and not _is_excluded(update.expression, column):
            raise TenantKeyChanged("an upsert cannot change a row's tenant key")


def _is_excluded(value: exp.Expr, column: str) -> bool:
    return (
        isinstance(value, exp.Column)
        and value.args.get("table") is not None
        and folded(value.args["table"]) == "excluded"
        and folded(value.this) == column
    )
