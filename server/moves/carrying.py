"""A few rows carried by hand, as texts: for repairs, and for tenants that come late."""

from server.moves.comparing import key_sql
from server.moves.group import Table, quoted
from server.moves.sessions import Session


async def carry_rows(
    origin: Session, destination: Session, table: Table, mine: str, key: str | None = None
) -> None:
    """Put the rows that fulfil the condition in place of those that do at the destination.

    Values go as text, which every type has; inside of a transaction of the destination.
    """
    names = [name for name, _, _ in table.columns]
    condition = mine if key is None else f"{mine} AND {key_sql(table)} = $1"
    arguments = () if key is None else (key,)
    as_text = ", ".join(f"t.{quoted(name)}::text AS {quoted(name)}" for name in names)
    rows = await origin.fetch(
        f"SELECT {as_text} FROM {table.relation} AS t WHERE {condition}",  # noqa: S608 - quoted names
        *arguments,
    )
    values = ", ".join(
        f"${number}::text::{kind}" for number, (_, kind, _) in enumerate(table.columns, 1)
    )
    listed = ", ".join(quoted(name) for name in names)
    await destination.execute(
        f"DELETE FROM {table.relation} AS t WHERE {condition}",  # noqa: S608
        *arguments,
    )
    await destination.executemany(
        f"INSERT INTO {table.relation} ({listed}) OVERRIDING SYSTEM VALUE VALUES ({values})",  # noqa: S608
        [tuple(row.values()) for row in rows],
    )
