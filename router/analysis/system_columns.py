"""Columns that tell where one server keeps a row (`ctid`, `xmin`, `tableoid`): no two servers agree."""

from collections.abc import Callable
from typing import Final

from sqlglot import expressions as exp

from router.analysis.nodes import Nodes
from router.analysis.scopes import folded

_NAMES: Final = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})


def system_column(nodes: Nodes, spared: Callable[[exp.Column], bool] | None = None) -> str | None:
    """The first such column that the statement names, but for those that are spared."""
    for column in nodes.of(exp.Column):
        if isinstance(column.this, exp.Identifier) and folded(column.this) in _NAMES:
            if spared is not None and spared(column):
                continue
            return folded(column.this)
    return None
