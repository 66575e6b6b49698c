"""The tenant key of rows that MERGE inserts."""

from collections.abc import Iterator

from sqlglot import expressions as exp

from router.analysis.insert_keys import Inserted, sources_of_values
from router.analysis.lineage import Lineage, is_tenant
from router.analysis.scopes import folded
from router.analysis.tables import Located
from router.analysis.tenant_keys import source_of
from router.errors import UnsupportedAcrossShards
from shardmap import KeyType

_EXPRESSION = "a MERGE that inserts an expression as tenant key"


def merge_inserts(merge: exp.Merge) -> tuple[exp.Insert, ...]:
    """The INSERT of each WHEN NOT MATCHED that has one, in order."""
    actions = (when.args.get("then") for when in merge.args["whens"].expressions)
    return tuple(action for action in actions if isinstance(action, exp.Insert))


def merge_assignments(merge: exp.Merge) -> Iterator[exp.Expr]:
    """What every UPDATE SET of a MERGE assigns."""
    for when in merge.args["whens"].expressions:
        action = when.args.get("then")
        if isinstance(action, exp.Update):
            yield from action.expressions


def merge_inserted(
    merge: exp.Merge, located: Located, column: str, lineage: Lineage, key_type: KeyType
) -> Iterator[Inserted]:
    """Each insert into the target of a MERGE.

    Raises:
        UnsupportedAcrossShards: The key cannot be known before PostgreSQL runs.
    """
    for node in merge_inserts(merge):
        values = node.expression
        if not isinstance(values, exp.Tuple):
            raise UnsupportedAcrossShards("a MERGE that inserts default values")
        listed = isinstance(node.this, exp.Tuple)
        names = _listed(node.this) if listed else _first(located, len(values.expressions))
        if column not in names:
            yield Inserted(located, node, names, listed, None, (), ())
            continue
        index = names.index(column)
        value = values.expressions[index] if index < len(values.expressions) else exp.Null()
        source = source_of(value, key_type)
        if source is not None:
            yield Inserted(located, node, names, listed, index, (source,), ())
            continue
        origin = lineage.origin(value, merge)
        if origin is not None and is_tenant(origin):
            yield Inserted(located, node, names, listed, index, (), (origin,))
            continue
        sources = sources_of_values(value, merge, lineage, key_type, _EXPRESSION)
        yield Inserted(located, node, names, listed, index, sources, ())


def _listed(target: exp.Tuple) -> tuple[str, ...]:
    if not all(isinstance(item, exp.Column) for item in target.expressions):
        raise UnsupportedAcrossShards("a MERGE that inserts into parts of columns")
    return tuple(folded(item.this) for item in target.expressions)


def _first(located: Located, width: int) -> tuple[str, ...]:
    if located.table is None or not 0 < width <= len(located.table.columns):
        raise UnsupportedAcrossShards(
            "a MERGE that inserts without a column list", hint="Name the columns."
        )
    return tuple(located.table.columns)[:width]
