"""A coverage-guided fuzzer of the analyser: `python -m tests.fuzz.analyser --seconds 60`.

Begins with the statements of the goldens and of the attacks, mutates them word by word, and keeps
whatever reaches a new pair of lines in `router/`. Ends with 1 at the first statement that breaks a
rule: anything but a Query or a named refusal, an analysis that takes too long for its length, a
word of writing in what is taken for a read, or a spliced text that is not held to the tenant when
it is analysed again.
"""

import argparse
import importlib.util
import random
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from router import Access, Form, RouterError
from router.analysis.analyse import Ask, Caller, analyse
from router.analysis.literals import shape_of
from router.analysis.scoping import Setting
from shardmap import KeyType

TESTS = Path(__file__).parents[1]
ROUTER = str(TESTS.parent / "router")
WORDS = """
SELECT FROM WHERE AND OR NOT IN EXISTS ( ) , ; * = < > <> || -> ->> @> :: $1 $2 $3 1 7 -1 'a' '7' NULL
orders items countries plans public . tenant_id id note total data AS o i x WITH RECURSIVE UNION ALL
INTERSECT EXCEPT VALUES INSERT INTO UPDATE SET DELETE USING RETURNING ON CONFLICT DO NOTHING MERGE WHEN
MATCHED THEN JOIN LEFT RIGHT FULL OUTER CROSS NATURAL LATERAL GROUP BY HAVING ORDER LIMIT OFFSET FETCH
FIRST ROWS ONLY FOR SHARE OF DISTINCT CASE END ELSE BETWEEN LIKE IS ANY ARRAY [ ] count sum max lower now
row_number OVER PARTITION WINDOW FILTER WITHIN ROLLUP GROUPING SETS COLLATE "C" "Orders" E'\\'' $$ $a$ --
/* */ U&"d" CAST COALESCE EXPLAIN ANALYZE TABLE COPY set_config pg_sleep generate_series unnest ONLY
TABLESAMPLE ORDINALITY DEFAULT TRUE FALSE INTERVAL DATE AT TIME ZONE
""".split()
_PIECE = re.compile(r"'[^']*'|\"[^\"]*\"|\w+|\s+|.", re.DOTALL)
WRITING = re.compile(r"\b(insert|merge)\s+into\b", re.IGNORECASE)
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|\$\w*\$.*?\$\w*\$", re.DOTALL)
MOST_S = 0.25
"""CPU seconds for a statement of up to `LONG_CHARS`, under the tracer that makes everything slower."""
LONG_CHARS = 600


def _world():
    spec = importlib.util.spec_from_file_location("plans_world", TESTS / "plans" / "world.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WORLD = _world()
SETTING = Setting(WORLD.SCHEMA, WORLD.MAP.placement, KeyType.INTEGER, "fuzz")


class Broken(AssertionError):
    """A statement that breaks a rule."""


def seeds() -> Iterator[str]:
    """Statements to begin with."""
    for path in sorted((TESTS / "plans").glob("*.yaml")):
        for case in yaml.safe_load(path.read_text()):
            yield case["query"]["sql"]
    for line in (TESTS / "oracle" / "attacks.sql").read_text().splitlines()[1:]:
        yield line.replace("\\n", "\n")


def check(sql: str) -> None:
    """Analyse a statement for every kind of caller; raises `Broken`."""
    shape_of(sql)
    for scoped, service in ((True, False), (False, True), (False, False)):
        for form in Form:
            began = time.thread_time()
            try:
                query = analyse(Ask(sql, form, counted=False), Caller(scoped, service), SETTING)
            except RouterError:
                continue
            except RecursionError as error:
                raise Broken("too deep") from error
            finally:
                if time.thread_time() - began > MOST_S * (1 + len(sql) / LONG_CHARS):
                    raise Broken("too slow")
            _check_query(sql, query, scoped=scoped)


def _check_query(sql: str, query, *, scoped: bool) -> None:
    if query.access is Access.READ and WRITING.search(QUOTED.sub(" ", sql)):
        raise Broken("a read with words of writing in it")
    if scoped and query.target.name == "SHARDED" and not query.scoped and query.inserts is False:
        raise Broken("a sharded table without the tenant's predicate")


class Coverage:
    """Pairs of lines of `router/` that ran one after the other."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, int, int]] = set()
        self._new = 0

    def run(self, sql: str) -> int:
        """How many new pairs the statement reached."""
        self._new = 0
        sys.settrace(self._call)
        try:
            check(sql)
        finally:
            sys.settrace(None)
        return self._new

    def _call(self, frame, event, _):
        name = frame.f_code.co_filename
        if not name.startswith(ROUTER):
            return None
        before = frame.f_lineno

        def line(frame, _event, _arg):
            nonlocal before
            pair = (name, before, frame.f_lineno)
            before = frame.f_lineno
            if pair not in self.seen:
                self.seen.add(pair)
                self._new += 1
            return line

        return line


def mutated(chance: random.Random, corpus: list[str]) -> str:
    """A statement of the corpus with a few words changed."""
    pieces = _PIECE.findall(chance.choice(corpus))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(pieces) + 1)
        match chance.randrange(6):
            case 0:
                pieces[at : at + chance.randint(1, 3)] = []
            case 1:
                pieces.insert(at, f" {chance.choice(WORDS)} ")
            case 2:
                pieces[at : at + 1] = [f" {chance.choice(WORDS)} "]
            case 3:
                pieces[at:at] = pieces[at : at + chance.randint(1, 8)]
            case 4:
                other = _PIECE.findall(chance.choice(corpus))
                start = chance.randrange(len(other) + 1)
                pieces[at:at] = [" ", *other[start : start + chance.randint(1, 20)], " "]
            case 5:
                other = "".join(pieces)
                pieces = ["SELECT * FROM (", other, ") AS q WHERE id = 1"]
    return "".join(pieces)[:4000]


def main() -> int:
    """Fuzz for so long; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    options = parser.parse_args()
    print(f"seed {options.seed}")
    coverage, corpus = Coverage(), []
    chance = random.Random(options.seed)
    tried, began = 0, time.monotonic()
    waiting = list(seeds())
    while time.monotonic() - began < options.seconds:
        sql = waiting.pop() if waiting else mutated(chance, corpus)
        tried += 1
        try:
            if coverage.run(sql):
                corpus.append(sql)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
            print(f"BROKEN after {tried}: {type(error).__name__}: {error}\n{sql!r}")
            return 1
    print(f"{tried} statements, {len(corpus)} kept, {len(coverage.seen)} pairs of lines, 0 broken")
    return 0


if __name__ == "__main__":
    sys.exit(main())
