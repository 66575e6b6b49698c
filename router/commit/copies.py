"""Copies of rows: what a write on one shard did, taken off its reply as an argument for the others."""

from router.backends import ShardQuery
from router.live.execution import Rows


def copied_rows(given: Rows, query: ShardQuery) -> tuple[Rows, str | None]:
    """The reply without its last column, and that column as one JSON text; None: there is no row.

    In a JSON envelope the single row's last column is that text; else each row's is one element.
    """
    columns = given.columns[:-1]
    rows = [row[:-1] for row in given.rows]
    if query.row_count_column is not None:
        text = given.rows[0][-1]
        copies = text if isinstance(text, str) else None
    else:
        copies = "[" + ",".join(str(row[-1]) for row in given.rows) + "]" if rows else None
    return Rows(rows if columns else (), given.affected, columns), copies
