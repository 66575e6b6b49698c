"""What a route decision costs: cached by text, cached by shape, and made anew.

A mixed workload as applications send it: mostly statements with parameters, some with their
values written into the text. A miss is compared with the parser's own parse and one rendering of
the same text in the same run, in turns: the least that any router over this parser must do. The garbage
collector is set as a worker sets it.
"""

import argparse
import gc
import json
import random
import statistics
import time
from typing import Any, NamedTuple

from sqlglot import Dialect
from sqlglot import expressions as exp

from bench.steps import point_map, point_schema
from router import Deadline, QueryContext, Router, Statement
from shardmap import TenantId

WITH_PARAMETERS = (
    ("point read", "SELECT id, name, amount FROM points WHERE id = $1 LIMIT 1", 1),
    (
        "page",
        "SELECT id, name FROM points WHERE name = $1 AND amount > $2 ORDER BY id LIMIT 20",
        2,
    ),
    ("aggregate", "SELECT count(*), sum(amount) FROM points WHERE at > $1", 1),
    (
        "CTE",
        "WITH x AS (SELECT id, amount FROM points WHERE amount > $1) SELECT max(amount) FROM x",
        1,
    ),
    (
        "join",
        "SELECT p.id, q.name FROM points p JOIN points q ON q.tenant_id = p.tenant_id"
        " AND q.id = p.id + 1 WHERE p.id = $1",
        1,
    ),
    ("update", "UPDATE points SET name = $1 WHERE id = $2", 2),
    ("insert", "INSERT INTO points (id, name, amount) VALUES ($1, $2, $3) RETURNING id", 3),
    ("delete", "DELETE FROM points WHERE id = $1", 1),
)
WITH_LITERALS = (
    "SELECT id, name FROM points WHERE id = {0} AND amount >= {1}",
    "SELECT id FROM points WHERE id IN ({0}, {1}, {2}) ORDER BY id",
    "UPDATE points SET name = 'point {0}' WHERE id = {1}",
    "INSERT INTO points (id, name, amount) VALUES ({0}, 'n{1}', {2})",
)
LITERAL_SHARE = 0.15
ROUNDS = 300
YOUNG_OBJECTS = 50_000
"""As in a worker: there the collector looks at young objects rarely, and never at modules."""
POSTGRES = Dialect.get_or_raise("postgres")
TENANT = QueryContext("authenticated", TenantId("7"), "bench", "{}", Deadline.after(3600))
SERVICE = QueryContext("service_role", None, "bench", "{}", Deadline.after(3600))


def main() -> None:
    """Run, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="new texts of each statement")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    figures = {**mixed(options.decisions), "misses": misses(options.rounds)}
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


class Miss(NamedTuple):
    """A statement to be analysed, and who sends it."""

    caller: str
    kind: str
    sql: str
    parameters: int
    context: QueryContext


def misses(rounds: int = ROUNDS) -> list[dict[str, float | str]]:
    """Each statement of the workload in new texts, against parse and rendering of the same texts.

    Texts differ in the case of letters only, so that each is new to the caches and none is longer
    than another. Both are measured in turns; medians.
    """
    router = _router()
    chance = random.Random(2)
    floors: list[list[float]] = [[] for _ in MISSES]
    made: list[list[float]] = [[] for _ in MISSES]
    seen: set[str] = set()
    for _ in range(rounds):
        for index, (_, _, sql, parameters, context) in enumerate(MISSES):
            text = _new(sql, seen, chance)
            spaced = text.replace(",", " ,")  # the parser reads `$1,$` as a quote
            statement = Statement(text, ("1",) * parameters)
            began = time.perf_counter()
            _render(POSTGRES.parse(spaced)[0])
            rendered = time.perf_counter()
            router.plan(statement, context)
            planned = time.perf_counter()
            floors[index].append((rendered - began) * 1e6)
            made[index].append((planned - rendered) * 1e6)
    if router.analyses.counts.misses != rounds * len(MISSES):
        raise AssertionError("a text was found in a cache")
    return [
        {
            "caller": miss.caller,
            "kind": miss.kind,
            "sql": miss.sql,
            "floor_us": (floor_us := statistics.median(floors[index])),
            "miss_us": (miss_us := statistics.median(made[index])),
            "ratio": miss_us / floor_us,
        }
        for index, miss in enumerate(MISSES)
    ]


def _render(tree: exp.Expr | None) -> None:
    if tree is not None:
        tree.sql(dialect=POSTGRES)


def _new(sql: str, seen: set[str], chance: random.Random) -> str:
    """The statement in another mixture of capitals, not used before."""
    while True:
        text = "".join(chance.choice((char.lower(), char.upper())) for char in sql)
        if text not in seen:
            seen.add(text)
            return text


def _statement(chance: random.Random) -> tuple[Statement, bool]:
    if chance.random() < LITERAL_SHARE:
        text = chance.choice(WITH_LITERALS).format(*(chance.randrange(10**6) for _ in range(3)))
        return Statement(text), True
    _, sql, parameters = chance.choice(WITH_PARAMETERS)
    return Statement(sql, tuple(str(chance.randrange(10**6)) for _ in range(parameters))), False


def _router() -> Router:
    shard_map, schema = MAP, SCHEMA
    return Router(_Nowhere(), lambda: shard_map, lambda: schema)  # type: ignore[arg-type]


class _Nowhere:
    """No backends: nothing is run."""


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
        f"  {miss['caller']:20s} {miss['kind']:10s} {miss['miss_us']:6.0f} us,"
        f" floor {miss['floor_us']:4.0f} us,"
        f" ratio {miss['ratio']:.2f}"
        for miss in figures["misses"]
    ]
    return "\n".join(lines)


MAP, SCHEMA = point_map(), point_schema()
NAMED = "SELECT id, name FROM points WHERE tenant_id = $1 AND id = $2"
MISSES = (
    *[Miss("tenant", *each, TENANT) for each in WITH_PARAMETERS],
    Miss("service, one tenant", "point read", NAMED, 2, SERVICE),
    *[Miss("service, all shards", *each, SERVICE) for each in WITH_PARAMETERS[:5]],
)

if __name__ == "__main__":
    main()
