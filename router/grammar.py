"""What the parser may have read: only the parts of PostgreSQL's grammar that analysis knows.

sqlglot reads many dialects at once: `orders semi JOIN items` is a semi-join to it, and a table
under the alias `semi` to PostgreSQL. Whatever analysis does not know is refused, so that it never
reasons about a statement other than the one that runs.
"""

from typing import Final

from sqlglot import Token, TokenType
from sqlglot import expressions as exp

from router.errors import StatementNotUnderstood

_PARTS: Final[dict[type[exp.Expr], frozenset[str]]] = {
    kind: frozenset(parts.split())
    for kind, parts in {
        exp.Select: "with_ expressions distinct into from_ joins laterals where group having"
        " windows order limit offset locks",
        exp.SetOperation: "with_ this expression distinct order limit offset locks",
        exp.Subquery: "this alias with_ joins order limit offset locks",
        exp.Table: "this alias db catalog joins ordinality only rows_from sample",
        exp.Join: "this on side kind using method",
        exp.Lateral: "this alias ordinality",
        exp.Values: "expressions alias order limit offset",
        exp.Insert: "with_ this expression conflict returning default",
        exp.Update: "with_ this expressions from_ where returning",
        exp.Delete: "with_ this using where returning",
        exp.With: "expressions recursive search cycle",
        exp.CTE: "this alias materialized",
    }.items()
}
"""The parts that each node may have."""

_KINDS: Final = frozenset({"", "INNER", "CROSS", "OUTER"})
_SIDES: Final = frozenset({"", "LEFT", "RIGHT", "FULL"})
_METHODS: Final = frozenset({"", "NATURAL"})


def check_tokens(tokens: list[Token]) -> None:
    """Refuse `@2`, which is a parameter to sqlglot and an absolute value to PostgreSQL.

    Raises:
        StatementNotUnderstood: It is there.
    """
    for token in tokens:
        if token.token_type is TokenType.PARAMETER and token.text != "$":
            raise StatementNotUnderstood(f"the operator {token.text[:1]} is not understood")


def check_tree(tree: exp.Expr) -> None:
    """Refuse whatever is no part of the grammar that analysis knows.

    Raises:
        StatementNotUnderstood: Names the part.
    """
    if (opaque := tree.find(exp.Command, exp.Merge)) is not None:
        name = opaque.this if isinstance(opaque, exp.Command) else "MERGE"
        raise StatementNotUnderstood(f"{name} is not understood")
    for node in tree.find_all(*_PARTS):
        allowed = next(parts for kind, parts in _PARTS.items() if isinstance(node, kind))
        for part, value in node.args.items():
            if value and part not in allowed:
                raise StatementNotUnderstood(f"{part.rstrip('_').upper()} is not understood")
        if isinstance(node, exp.Join):
            _check_join(node)


def _check_join(join: exp.Join) -> None:
    for words, known in ((join.kind, _KINDS), (join.side, _SIDES), (join.method, _METHODS)):
        if (words or "").upper() not in known:
            raise StatementNotUnderstood(f"{words.upper()} JOIN is not understood")
