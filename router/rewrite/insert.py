"""The tenant key of an insert, filled in where its rows name none."""

from collections.abc import Iterator, Mapping

from sqlglot import Token, TokenType
from sqlglot import expressions as exp

from router.analysis.arms import Arm, arms_of
from router.analysis.insert_keys import Inserted, record_field
from router.analysis.parse import Parsed
from router.analysis.scopes import Region, quoted
from router.errors import StatementNotUnderstood, UnsupportedAcrossShards
from router.rewrite.splice import Edit, insertion


def fill_edits(
    parsed: Parsed,
    inserted: Inserted,
    column: str,
    value: str,
    selects: Mapping[int, Region],
) -> Iterator[Edit]:
    """Edits that give the inserted rows the tenant `value` where they name none.

    `selects` says where each SELECT stands.

    Raises:
        UnsupportedAcrossShards: The rows are in a form that cannot be filled.
    """
    use = inserted.located.use
    if inserted.columns is None:
        start, end = _default_values(parsed, use.region)
        yield Edit(start, end, f"({quoted(column)}) VALUES ({value})")
        return
    arms = arms_of(inserted.node.args.get("expression"))
    if inserted.index is not None:
        for arm in arms:
            yield from _coalesce(arm, inserted.index, value)
        return
    yield _named(parsed, inserted, column)
    for arm in arms:
        if isinstance(arm, exp.Values):
            if len(arms) > 1:
                raise UnsupportedAcrossShards(
                    "an insert that is fed by VALUES in a set operation",
                    hint="Name the tenant column.",
                )
            yield from _fill_values(parsed.tokens, use.region, value)
        else:
            region = selects.get(id(arm))
            if region is None:
                raise UnsupportedAcrossShards("an insert of rows that are not understood")
            yield insertion(select_list_end(parsed, region), f", {value}")


def _named(parsed: Parsed, inserted: Inserted, column: str) -> Edit:
    """The tenant column behind the others; where none are named, all of them."""
    node = inserted.located.use.node
    if inserted.listed:
        opening = _index_after(parsed.tokens, node.this.meta["end"])
        while opening < len(parsed.kinds) and parsed.kinds[opening] is not TokenType.L_PAREN:
            opening += 1  # in `INSERT t SET a = 1` there is none
        closing = closing_parenthesis(parsed.tokens, opening)
        return insertion(parsed.tokens[closing].start, f", {quoted(column)}")
    alias = node.args.get("alias")
    last = alias.this if alias is not None else node.this
    names = ", ".join(map(quoted, (*(inserted.columns or ()), column)))
    return insertion(last.meta["end"] + 1, f" ({names})")


def _coalesce(arm: Arm, index: int, value: str) -> Iterator[Edit]:
    """Records that lack the key get the tenant; explicit NULLs are refused by the planner."""
    if not isinstance(arm, exp.Select) or index >= len(arm.expressions):
        return
    projection = arm.expressions[index]
    while isinstance(projection, exp.Alias):
        projection = projection.this
    if record_field(arm, projection) is not None:
        yield insertion(projection.args["table"].meta["start"], "coalesce(")
        yield insertion(projection.this.meta["end"] + 1, f", {value})")


def _fill_values(tokens: tuple[Token, ...], region: Region, value: str) -> Iterator[Edit]:
    """The value behind the last of each row; VALUES may stand in parentheses of its own."""
    clause = region.clauses.get(TokenType.VALUES)
    at = (
        _values_index(tokens, region)
        if clause is None
        else _index_after(tokens, clause.content - 1)
    )
    end = region.end if clause is None else clause.end
    while at < len(tokens) and tokens[at].start < end:
        if tokens[at].token_type is TokenType.L_PAREN:
            at = closing_parenthesis(tokens, at)
            yield insertion(tokens[at].start, f", {value}")
        elif clause is None and tokens[at].token_type is not TokenType.COMMA:
            return  # behind the rows
        at += 1


def _values_index(tokens: tuple[Token, ...], region: Region) -> int:
    """The index behind VALUES, which is the one word of its kind in an insert without SELECT."""
    at = _index_after(tokens, region.body - 1)
    while at < len(tokens) and tokens[at].token_type is not TokenType.VALUES:
        at += 1
    if at == len(tokens) or tokens[at].start >= region.end:
        raise UnsupportedAcrossShards("an insert of rows that are not understood")
    return at + 1


def select_list_end(parsed: Parsed, region: Region) -> int:
    """Behind the last token of a SELECT's list."""
    end = min((clause.start for clause in region.clauses.values()), default=region.end)
    return max(
        (token.end + 1 for token in parsed.tokens if region.body <= token.start < end),
        default=region.body,
    )


def _default_values(parsed: Parsed, region: Region) -> tuple[int, int]:
    clause = region.clauses.get(TokenType.VALUES)
    if clause is None:  # in parentheses, say
        raise UnsupportedAcrossShards(
            "an insert whose VALUES stand by themselves", hint="Name the tenant column."
        )
    before = _index_after(parsed.tokens, clause.start - 1) - 1
    return parsed.tokens[before].start, clause.content


def _index_after(tokens: tuple[Token, ...], offset: int) -> int:
    for index, token in enumerate(tokens):
        if token.start > offset:
            return index
    raise StatementNotUnderstood("the end of an insert is not understood")


def closing_parenthesis(tokens: tuple[Token, ...], opening: int) -> int:
    """The index of the parenthesis that closes the one at `opening`."""
    depth = 0
    for index in range(opening, len(tokens)):
        if tokens[index].token_type is TokenType.L_PAREN:
            depth += 1
        elif tokens[index].token_type is TokenType.R_PAREN:
            depth -= 1
            if depth == 0:
                return index
    raise StatementNotUnderstood("the parentheses of an insert are not understood")
