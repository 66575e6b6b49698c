"""One row of each shard to one row of all: numbers added, or the least or the greatest of them.

Numbers are integers and `numeric`, which Python adds as PostgreSQL does: without losing a digit, with
as many behind the point as the summand that has most of them, and with NaN and the infinities.
"""

import decimal
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from router.analysis.query import Reply, Total
from router.backends import ShardReply
from router.catalogue.agreement import agreed_columns
from router.plans.plan import Plan, Totals
from router.statement import Result

Number = int | Decimal

_EXACT: Final = decimal.Context(
    prec=decimal.MAX_PREC, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, traps=[]
)


def totalled(plan: Plan, combine: Totals, replies: Sequence[ShardReply]) -> Result:
    """The answer from the rows of all shards, each of which is the statement's answer there."""
    served = tuple(reply.served for reply in replies)
    if plan.reply is Reply.ROWS:
        columns = zip(*(reply.rows[0] for reply in replies), strict=True)
        row = tuple(map(_total, combine.columns, columns))
        return Result(1, agreed_columns(replies), [row], served=served)
    found = [_pairs(reply.rows[0][0]) for reply in replies]
    names = [name for name, _ in found[0]]
    columns = zip(*((value for _, value in pairs) for pairs in found), strict=True)
    values = map(_total, combine.columns, columns)
    members = ",".join(
        f"{json.dumps(name, ensure_ascii=False)}:{_json(value)}"
        for name, value in zip(names, values, strict=True)
    )
    return Result(1, body=f"[{{{members}}}]", served=served)


def _pairs(text: object) -> Sequence[tuple[str, Number | None]]:
    """The members of the one object of a JSON array; two may have one name."""
    if not isinstance(text, str):
        raise TypeError(f"JSON is text, not {type(text).__name__}")
    (pairs,) = json.loads(text, object_pairs_hook=list, parse_float=Decimal)
    # what is no number to JSON is text: "NaN", "Infinity"
    return [(name, Decimal(value) if isinstance(value, str) else value) for name, value in pairs]


def _json(value: Number | None) -> str:
    if not isinstance(value, Decimal):
        return json.dumps(value)
    return f"{value:f}" if value.is_finite() else f'"{value}"'


def _total(how: Total, values: Sequence[Number | None]) -> Number | None:
    """Of one column; NULL when no shard has a value. Numerics that are integers stay numerics."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    match how:
        case Total.ADDED:
            return _sum(known)
        case Total.LEAST:
            return min(known)
        case Total.GREATEST:
            return max(known)


def _sum(values: Sequence[Number]) -> Number:
    if all(isinstance(value, int) for value in values):
        return sum(values)
    total = Decimal(values[0])
    for value in values[1:]:
        total = _EXACT.add(total, Decimal(value))
    return total
