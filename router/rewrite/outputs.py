"""The names that PostgreSQL gives to outputs, written out where their expressions are replaced."""

from collections.abc import Sequence

from sqlglot import Token, TokenType
from sqlglot import expressions as exp

from router.analysis.parse import Parsed
from router.analysis.scopes import Region, quoted
from router.rewrite.splice import Edit, insertion


def alias_edits(parsed: Parsed, tree: exp.Select, region: Region) -> tuple[Edit, ...] | None:
    """Edits that name each output which has the name of the aggregate it consists of.

    A cast has the name of what is cast. None: the names of all outputs are not known for certain.
    """
    items = outputs(parsed, region)
    if len(items) != len(tree.expressions):
        return None
    found = []
    for item, node in zip(items, tree.expressions, strict=True):
        if isinstance(node, exp.Alias) or node.find(exp.AggFunc) is None:
            continue
        inner = node
        while isinstance(inner, exp.Paren | exp.Cast | exp.Filter):
            inner = inner.this
        if isinstance(inner, exp.Case | exp.Collate | exp.Bracket):
            return None  # named by a part of it
        if isinstance(inner, exp.AggFunc):
            name = parsed.sql[inner.meta["start"] : inner.meta["end"] + 1].lower()
            found.append(insertion(item[-1].end + 1, f" AS {quoted(name)}"))
    return tuple(found)


def outputs(parsed: Parsed, region: Region) -> list[list[Token]]:
    """The tokens of each output; those of the first may begin with DISTINCT."""
    from_ = region.clauses.get(TokenType.FROM)
    end = from_.start if from_ is not None else region.end
    tokens = [token for token in parsed.tokens if region.body <= token.start < end]
    return cut_at_commas(tokens)


def cut_at_commas(tokens: Sequence[Token]) -> list[list[Token]]:
    """The tokens between the commas that stand in no parenthesis."""
    items: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        if token.token_type in {TokenType.L_PAREN, TokenType.L_BRACKET}:
            depth += 1
        elif token.token_type in {TokenType.R_PAREN, TokenType.R_BRACKET}:
            depth -= 1
        if depth == 0 and token.token_type is TokenType.COMMA:
            items.append([])
        else:
            items[-1].append(token)
    return items
