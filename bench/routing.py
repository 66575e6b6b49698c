"""What a route decision costs: cached by text, cached by shape, and made anew.

A mixed workload as applications send it: mostly statements with parameters, some with their
values written into the text. A miss is compared with the parser's own parse and one rendering of
the same statement in the same run, the least that any router over this parser must do.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from sqlglot import Dialect

from bench.steps import point_map, point_schema
from router import Deadline, QueryContext, Router, Statement
from shardmap import TenantId

WITH_PARAMETERS = (
    ("SELECT id, name, amount FROM points WHERE id = $1 LIMIT 1", 1),
    ("SELECT id, name FROM points WHERE name = $1 AND amount > $2 ORDER BY id LIMIT 20", 2),
    ("SELECT count(*), sum(amount) FROM points WHERE at > $1", 1),
    ("WITH x AS (SELECT id, amount FROM points WHERE amount > $1) SELECT max(amount) FROM x", 1),
    (
        "SELECT p.id, q.name FROM points p JOIN points q ON q.tenant_id = p.tenant_id"
        " AND q.id = p.id + 1 WHERE p.id = $1",
        1,
    ),
    ("UPDATE points SET name = $1 WHERE id = $2", 2),
    ("INSERT INTO points (id, name, amount) VALUES ($1, $2, $3) RETURNING id", 3),
    ("DELETE FROM points WHERE id = $1", 1),
)
WITH_LITERALS = (
    "SELECT id, name FROM points WHERE id = {0} AND amount >= {1}",
    "SELECT id FROM points WHERE id IN ({0}, {1}, {2}) ORDER BY id",
    "UPDATE points SET name = 'point {0}' WHERE id = {1}",
    "INSERT INTO points (id, name, amount) VALUES ({0}, 'n{1}', {2})",
)
LITERAL_SHARE = 0.15
TENANT = QueryContext("authenticated", TenantId("7"), "bench", "{}", Deadline.after(3600))


def main() -> None:
    """Run, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=20_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    figures = {**mixed(options.decisions), "misses": misses()}
    print(json.dumps(figures, indent=2) if options.json else _table(figures))


def mixed(decisions: int) -> dict[str, float]:
    """The mixed workload from an empty cache: hit rate, and the cost of the decisions."""
    chance = random.Random(1)
    router = _router()
    spent: list[float] = []
    literal: list[float] = []
    for _ in range(decisions):
        statement, has_literals = _statement(chance)
        began = time.perf_counter()
        router.plan(statement, TENANT)
        took_us = (time.perf_counter() - began) * 1e6
        (literal if has_literals else spent).append(took_us)
    counts = router.analyses.counts
    return {
        "decisions": decisions,
        "hit_rate": (counts.texts + counts.shapes) / decisions,
        "by_text": counts.texts / decisions,
        "by_shape": counts.shapes / decisions,
        "p50_us": statistics.median(spent + literal),
        "p50_with_parameters_us": statistics.median(spent),
        "p50_with_literals_us": statistics.median(literal),
    }


def misses() -> list[dict[str, float | str]]:
    """Each statement of the workload, analysed anew, against parse and rendering."""
    postgres = Dialect.get_or_raise("postgres")
    router = _router()
    found: list[dict[str, float | str]] = []
    for sql, parameters in WITH_PARAMETERS:
        args = ("1",) * parameters
        texts = (sql + " " * number for number in range(10_000))  # each one new to the caches
        spaced = sql.replace(",", " ,")  # the parser reads `$1,$` as a quote
        tree = postgres.parse(spaced)[0]
        assert tree is not None  # noqa: S101 - one of our own statements
        floor = _cost(partial(postgres.parse, spaced)) + _cost(partial(tree.sql, dialect=postgres))

        def miss(texts: Iterator[str] = texts, args: tuple[str, ...] = args) -> None:
            router.plan(Statement(next(texts), args), TENANT)

        made = _cost(miss)
        found.append({"sql": sql[:48], "floor_us": floor, "miss_us": made, "ratio": made / floor})
    return found


def _statement(chance: random.Random) -> tuple[Statement, bool]:
    if chance.random() < LITERAL_SHARE:
        text = chance.choice(WITH_LITERALS).format(*(chance.randrange(10**6) for _ in range(3)))
        return Statement(text), True
    sql, parameters = chance.choice(WITH_PARAMETERS)
    return Statement(sql, tuple(str(chance.randrange(10**6)) for _ in range(parameters))), False


def _router() -> Router:
    shard_map, schema = MAP, SCHEMA
    return Router(_Nowhere(), lambda: shard_map, lambda: schema)  # type: ignore[arg-type]


class _Nowhere:
    """No backends: nothing is run."""


def _cost(call: Callable[[], object], number: int = 40) -> float:
    best = float("inf")
    for _ in range(7):
        began = time.perf_counter()
        for _ in range(number):
            call()
        best = min(best, time.perf_counter() - began)
    return best / number * 1e6


def _table(figures: dict[str, Any]) -> str:
    lines = [
        f"route decisions of a mixed workload, {figures['decisions']} from an empty cache:",
        f"  hit rate {figures['hit_rate']:.2%} ({figures['by_text']:.1%} by text,"
        f" {figures['by_shape']:.1%} by shape)",
        f"  p50 {figures['p50_us']:.1f} us; with parameters {figures['p50_with_parameters_us']:.1f},"
        f" with literals {figures['p50_with_literals_us']:.1f}",
        "",
        "misses, against the parser's parse and one rendering of the same statement:",
    ]
    lines += [
        f"  {miss['sql']:50s} {miss['miss_us']:7.0f} us, floor {miss['floor_us']:5.0f} us,"
        f" ratio {miss['ratio']:.2f}"
        for miss in figures["misses"]
    ]
    return "\n".join(lines)


MAP, SCHEMA = point_map(), point_schema()

if __name__ == "__main__":
    main()
