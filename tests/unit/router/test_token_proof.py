"""The proof by tokens says yes to plain statements only, and never where the proof by reading says no."""

import importlib.util
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from router import RouterError
from router.analysis.parse import parse
from router.analysis.placing import placed
from router.analysis.scopes import regions, table_uses
from router.analysis.scoping import Scoping, Setting
from router.analysis.tables import locate
from router.analysis.token_proof import proved_by_tokens
from router.errors import StatementNotUnderstood
from router.rewrite.splice import splice
from router.rewrite.tenant import tenant_value
from shardmap import KeyType

TESTS = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("proof_world", TESTS / "plans" / "world.py")
world = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(world)

SETTING = Setting(world.SCHEMA, world.MAP.placement, KeyType.INTEGER, "test")
TENANT = 8

PLAIN = (
    "SELECT id FROM orders",
    "SELECT id FROM orders ORDER BY id LIMIT 3",
    "SELECT id FROM orders WHERE id = $1 OR note = 'x' LIMIT 1",
    "SELECT id FROM orders WHERE id = 1 -- with a comment",
    "SELECT o.id FROM orders AS o JOIN items i ON i.order_id = o.id WHERE o.id = $1 GROUP BY o.id",
    "SELECT count(*) FILTER (WHERE note LIKE 'a%') FROM orders HAVING count(*) > 1",
    "WITH x AS (SELECT id FROM orders WHERE id > 3) SELECT max(id) FROM x WHERE id < 9",
    "SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM items i WHERE i.order_id = o.id)",
    "SELECT id FROM orders WHERE id = $1 FOR UPDATE",
    "SELECT o.id FROM orders o FOR UPDATE OF o SKIP LOCKED",
    "UPDATE orders SET note = $1",
    "UPDATE orders AS o SET note = 'x' FROM items i WHERE i.order_id = o.id RETURNING o.id",
    "DELETE FROM orders WHERE id IN ($1, $2) RETURNING id",
    "INSERT INTO orders (id, note) VALUES ($1, $2)",
    "INSERT INTO orders (id, note) VALUES (1, 'a'), ((2), lower('(B')) RETURNING id",
    "INSERT INTO orders (id, note) VALUES (1, 'a') ON CONFLICT DO NOTHING",
    "INSERT INTO orders (id, tenant_id) VALUES ($1, $2)",
)
UNCERTAIN = (
    "SELECT id FROM orders UNION SELECT id FROM items",
    "SELECT i.id FROM orders o LEFT JOIN items i ON i.order_id = o.id",
    "SELECT o.id AS limit FROM orders o",
    "SELECT id FROM orders FOR NO KEY UPDATE",
    "SELECT id FROM orders WHERE id = 1/**/LIMIT 1",
    "INSERT INTO orders (id, note) SELECT id, note FROM orders",
    "INSERT INTO orders DEFAULT VALUES",
    "INSERT INTO orders (id, note) VALUES (2 * 3, 'a')",
    "INSERT INTO orders (id, note) VALUES (1)",
)


def scoping_of(sql):
    """The tenant's scoping of a text, and its edits."""
    parsed = parse(sql)
    found = regions(parsed)
    placements = placed(SETTING.schema, SETTING.placements)
    tables = locate(table_uses(parsed, found), SETTING.schema, placements)
    scoping = Scoping(parsed, found, tables, SETTING, scoped=True, param=TENANT)
    return scoping, scoping.edits()


def is_proved(scoping, edits):
    value = tenant_value(KeyType.INTEGER, TENANT)
    return proved_by_tokens(scoping.parsed, scoping.sharded, scoping.inserted, edits, value)


@pytest.mark.parametrize("sql", PLAIN)
def test_a_plain_statement_is_proved_without_reading_it_again(sql):
    assert is_proved(*scoping_of(sql))


@pytest.mark.parametrize("sql", UNCERTAIN)
def test_what_is_not_plain_is_left_to_the_other_proof(sql):
    assert not is_proved(*scoping_of(sql))


@pytest.mark.parametrize("sql", PLAIN)
def test_edits_that_differ_in_anything_are_not_proved(sql):
    scoping, edits = scoping_of(sql)

    for at, edit in enumerate(edits):
        wrong = [
            (),
            (edit._replace(text=edit.text.replace("tenant_id", "id").replace("$9", "$1")),),
            (edit._replace(start=edit.start - 1, end=edit.end - 1),),
            (edit._replace(start=edit.start + 1, end=edit.end + 1),),
            (edit._replace(end=edit.end + 1),),
            (edit, edit),
        ]
        for each in wrong:
            changed = (*edits[:at], *each, *edits[at + 1 :])
            assert changed == edits or not is_proved(scoping, changed)


def golden_statements():
    for path in sorted((TESTS / "plans").glob("*.yaml")):
        for case in yaml.safe_load(path.read_text()):
            yield case["query"]["sql"]
    for line in (TESTS / "oracle" / "attacks.sql").read_text().splitlines()[1:]:
        yield line.replace("\\n", "\n")


STATEMENTS = tuple(golden_statements())
PIECES = st.sampled_from(
    "WHERE ( ) AND OR = 1 id note orders o FROM items i JOIN LEFT ON UNION SELECT AS limit . ORDER BY"
    " LIMIT FOR UPDATE RETURNING -- /* */ 'x' WITH , VALUES $1 IN GROUP HAVING EXISTS DISTINCT".split(
        " "
    )
)


def check_both(sql):
    """What the tokens prove, reading proves as well, if it can be read at all. Whether they did.

    The parser reads some texts that are no statements, and not always what they become.
    """
    try:
        scoping, edits = scoping_of(sql)
    except RouterError:
        return False
    proved = is_proved(scoping, edits)
    if proved and scoping.sharded:
        with suppress(StatementNotUnderstood):
            scoping.prove_by_reading(splice(scoping.parsed.body, edits))
    return proved


def test_both_proofs_agree_on_every_statement_that_is_tested_elsewhere():
    assert sum(map(check_both, STATEMENTS)) > len(STATEMENTS) / 4


@st.composite
def mutants(draw):
    words = draw(st.sampled_from((*PLAIN, *STATEMENTS))).split(" ")
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(words)))
        words[at : at + draw(st.integers(0, 2))] = draw(st.lists(PIECES, max_size=3))
    return " ".join(words)


@settings(max_examples=500, deadline=None)
@given(sql=mutants())
def test_both_proofs_agree_on_statements_gone_wrong(sql):
    check_both(sql)
