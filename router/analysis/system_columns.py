"""Columns that tell where one server keeps a row (`ctid`, `xmin`, `tableoid`): no two servers agree."""

from typing import Final

from sqlglot import expressions as exp

from router.analysis.nodes import Nodes
from router.analysis.scopes import folded

_NAMES: Final = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})


def system_column(nodes: Nodes) -> str | None:
    """The first such column that the statement names."""
    for column in nodes.of(exp.Column):
        if isinstance(column.this, exp.Identifier) and folded(column.this) in _NAMES:
            return folded(column.this)
    return None
