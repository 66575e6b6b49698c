"""The forms in which one shard's answer travels: JSON made by PostgreSQL, in one row."""

from typing import Final

POSITION: Final = (
    "pg_is_in_recovery(), CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
    " ELSE pg_current_wal_flush_lsn() END"
)
"""The two columns that say up to where the snapshot can have seen, read after it was taken."""


ANSWER: Final = "fluxshard_answer"
"""The name of what a write returns, among the parts of its WITH."""

WRITTEN: Final = f"SELECT coalesce(json_agg({ANSWER}.*), '[]')::text, count(*) FROM {ANSWER}"


def read_envelope(sql: str, counted: str | None) -> str:
    """One row: the JSON array, its number of rows, [the total of `counted`,] the position."""
    return _with_position("coalesce(json_agg(r.*), '[]')::text, count(*)", f"({sql}) AS r", counted)


def capped_envelope(sql: str, rows: int, counted: str | None) -> str:
    """As `read_envelope`, of the first so many rows: enough to see whether there are more."""
    return read_envelope(f"SELECT * FROM ({sql}) AS c LIMIT {rows}", counted)


def json_rows(sql: str) -> str:
    """Each row as the text that `json_agg` makes of it, in order."""
    return f"SELECT to_json(r.*)::text AS j FROM ({sql}) AS r"


def counted_rows(sql: str, counted: str | None) -> str:
    """The rows, with the total of `counted` behind each where it is asked for.

    It is worked out once, and one row beside others leaves their order as it is.
    """
    if counted is None:
        return sql
    return f"SELECT g.*, t.n FROM ({sql}) AS g, (SELECT count(*) AS n FROM ({counted}) AS c) AS t"


def write_envelope(sql: str) -> str:
    """One row: the JSON array of what RETURNING gives, and its number of rows."""
    return f"WITH w AS ({sql}) SELECT coalesce(json_agg(w.*), '[]')::text, count(*) FROM w"


def gather_envelope(sql: str, sort_columns: int, counted: str | None) -> str:
    """One row of arrays: JSON texts and sort keys of the rows in order, [the total,] the position."""
    keys = "".join(f", array_agg(g.k{index})" for index in range(sort_columns))
    return _with_position(f"array_agg(g.j){keys}", f"({sql}) AS g", counted)


def few_envelope(sql: str, rows: int, sort_columns: int, counted: str | None) -> str:
    """As `gather_envelope`, of the first so many rows: enough to see whether there are more."""
    return gather_envelope(f"SELECT * FROM ({sql}) AS c LIMIT {rows}", sort_columns, counted)


def _with_position(outputs: str, source: str, counted: str | None) -> str:
    """The total stands beside the rows, not inside: there their names would mean ours."""
    if counted is None:
        return f"SELECT {outputs}, {POSITION} FROM {source}"
    return (
        f"SELECT e.*, t.n, {POSITION} FROM (SELECT {outputs} FROM {source}) AS e,"
        f" (SELECT count(*) AS n FROM ({counted}) AS c) AS t"
    )


def spread_envelope(sql: str) -> str:
    """One row: an array of the JSON texts of what RETURNING gives, and its number of rows."""
    return (
        f"WITH w AS ({sql}) SELECT coalesce(array_agg(to_json(w.*)::text), '{{}}'), count(*) FROM w"
    )


def copied_envelope(sql: str, copy: str) -> str:
    """A write envelope with a third column: one JSON array of all that the column `copy` holds.

    `copy` is the last column of what RETURNING gives, of type json; its name needs no quotes. It
    is cut off each row's JSON text, which ends with it and with a brace.
    """
    tail = len(f',"{copy}":') + 1
    row = f"left(to_json(w.*)::text, -({tail} + length(w.{copy}::text))) || '}}'"
    return (
        f"WITH w AS ({sql}) SELECT '[' || coalesce(string_agg({row}, E', \\n '), '') || ']',"
        f" count(*), '[' || string_agg(w.{copy}::text, ',') || ']' FROM w"
    )
