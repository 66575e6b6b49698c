"""A table's row as one value (`SELECT o FROM orders AS o`), and where its type does not matter.

A table that a sub-select stands for gives rows of no named type. Their fields and their JSON are
the same, but an output of that type is not.
"""

from typing import Final

from sqlglot import expressions as exp

from router.analysis.scopes import folded, quoted
from router.analysis.tables import Located
from router.errors import UnsupportedAcrossShards

_TYPELESS: Final = frozenset(
    "count json_agg jsonb_agg row_to_json to_json to_jsonb json_build_object jsonb_build_object"
    " json_build_array jsonb_build_array array_to_json j_s_o_n_array_agg".split()
)
"""Functions that give the same for a row, whatever its type is called."""


def is_whole_row(node: exp.Expr, located: Located) -> bool:
    """Whether a name is that of the table itself, and of none of its columns."""
    if not isinstance(node, exp.Column) or not isinstance(node.this, exp.Identifier):
        return False
    if node.args.get("table") is not None:
        return False
    name = folded(node.this)
    known = located.table is not None and name in located.table.columns
    return quoted(name) == located.use.alias and not known


def refuse_typed_rows(tree: exp.Expr, located: Located) -> None:
    """Refuse a whole row of the table where the name of its type could be seen.

    Raises:
        UnsupportedAcrossShards: It stands elsewhere than in a test for NULL, before a field's
            name, in a cast to text, or in a function that makes JSON of it or counts it.
    """
    for node in tree.find_all(exp.Column):
        if is_whole_row(node, located) and not _is_typeless(node):
            raise UnsupportedAcrossShards(
                "a whole row of a table in an outer join",
                hint="Name its columns, or make JSON of it.",
            )


def _is_typeless(node: exp.Expr) -> bool:
    at = node.parent
    while isinstance(at, exp.Paren | exp.Order | exp.Ordered | exp.Distinct):
        at = at.parent
    match at:
        case exp.Is() | exp.Dot():
            return True
        case exp.Cast():
            return at.to.this is exp.DType.TEXT
        case exp.Anonymous():
            return at.name.lower() in _TYPELESS
        case exp.Func():
            return at.sql_name().lower() in _TYPELESS
        case _:
            return False
