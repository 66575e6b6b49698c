"""A proof by tokens that edits hold each sharded table to the tenant, where the grammar leaves no doubt.

It does not ask what a condition means. In PostgreSQL's grammar a block (one SELECT, UPDATE or DELETE)
ends at its closing parenthesis, and the words that may follow its WHERE are reserved: at the depth of
the block's own parentheses they stand nowhere else, unless behind AS or a dot. So whatever `…` is, as
long as its parentheses are balanced and none of those words stands in it at that depth,

    WHERE (…) AND "alias"."column" = $n::text::int8 [AND …]    followed by such a word, `)` or the end

is either no statement at all, or one whose every row fulfils the predicates. `WHERE` in front of such
a word, where the block has none, likewise. And a value before the parenthesis that closes a row of
VALUES is that row's last value.

What follows from that is computed here from the tokens alone, in other steps than those that made the
edits. Where both agree to the character, they are proved; in any other case nothing is said, and the
spliced text has to be parsed and read anew.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlglot import TokenType
from sqlglot import expressions as exp

from router.analysis.insert_keys import Inserted
from router.analysis.parse import Parsed
from router.analysis.scopes import Use, quoted
from router.analysis.tables import Located
from router.rewrite.splice import Edit, insertion

_OPENING: Final = TokenType.L_PAREN
_CLOSING: Final = TokenType.R_PAREN
_COMMA: Final = TokenType.COMMA
_WHERE: Final = TokenType.WHERE
_VALUES: Final = TokenType.VALUES
_WITH: Final = TokenType.WITH
_UPDATE: Final = TokenType.UPDATE
_FOR: Final = TokenType.FOR
_STAR: Final = TokenType.STAR

_VERBS: Final = {
    TokenType.SELECT: exp.Select,
    TokenType.UPDATE: exp.Update,
    TokenType.DELETE: exp.Delete,
    TokenType.INSERT: exp.Insert,
}
_FOLLOWING: Final = frozenset(
    {
        TokenType.GROUP_BY,
        TokenType.HAVING,
        TokenType.WINDOW,
        TokenType.ORDER_BY,
        TokenType.LIMIT,
        TokenType.OFFSET,
        TokenType.FETCH,
        TokenType.FOR,
        TokenType.RETURNING,
    }
)
"""What may follow WHERE in its block. All are reserved, and no output may have these names without AS."""

_UNCERTAIN: Final = frozenset(
    {TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT, TokenType.MERGE}
)
"""Blocks that do not end where parentheses end."""

_LABELLING: Final = frozenset({TokenType.ALIAS, TokenType.DOT})
_TURNS: Final = frozenset({_OPENING, _CLOSING, _WHERE, *_VERBS, *_FOLLOWING, *_UNCERTAIN})
_BEHIND_ROWS: Final = frozenset({TokenType.RETURNING, TokenType.ON})
_SPACES: Final = frozenset(" \t\n\r\f\v);")
_OWNERS: Final = (exp.Select, exp.Update, exp.Delete, exp.Insert)


@dataclass(slots=True)
class _Block:
    """The tokens [first, end) of one part of a statement, from its verb on, in one pair of parentheses.

    `where` and `following` are the first such tokens at the depth of its own.
    """

    verb: TokenType
    depth: int
    first: int
    end: int = 0
    where: int | None = None
    following: int | None = None

    @property
    def from_end(self) -> int:
        """Behind the last token of its FROM, or of what it changes."""
        return self.stop if self.where is None else self.where

    @property
    def stop(self) -> int:
        """Behind the last token of WHERE, or of where it would be."""
        return self.end if self.following is None else self.following


def proved_by_tokens(
    parsed: Parsed,
    sharded: Sequence[Located],
    inserted: Sequence[Inserted],
    edits: Sequence[Edit],
    value: str,
) -> bool:
    """Whether these edits of the text certainly hold all its sharded tables to the tenant `value`.

    False: it cannot be said from the tokens.
    """
    blocks = _blocks(parsed.kinds)
    if blocks is None:
        return False
    held = _tables_by_block(parsed, blocks, sharded)
    if held is None:
        return False
    needed: list[Edit] = []
    for block, tables in held:
        predicates = " AND ".join(
            [f"{each.use.alias}.{quoted(each.tenant_column or '')} = {value}" for each in tables]
        )
        needed += _filter(parsed, block, predicates)
    for each in inserted:
        if each.index is None:
            filled = _filled(parsed, blocks[-1], each, value)
            if filled is None:
                return False
            needed += filled
    if sorted(needed) != sorted(edits) or len({edit.start for edit in needed}) != len(needed):
        return False
    body = parsed.body
    return all(_is_apart(body, edit) for edit in needed)


def _blocks(kinds: Sequence[TokenType]) -> list[_Block] | None:
    """The blocks in the order of their ends, the outermost last; None: they are not plain.

    Each verb stands at the beginning of the text, of a parenthesis, or behind the WITH of the text.
    """
    open_: list[_Block] = []
    closed: list[_Block] = []
    depth = 0
    for index, kind in enumerate(kinds):
        if kind not in _TURNS or (kind is _UPDATE and index and kinds[index - 1] is _FOR):
            continue
        if kind is _OPENING:
            depth += 1
        elif kind is _CLOSING:
            if open_ and open_[-1].depth == depth:
                open_[-1].end = index
                closed.append(open_.pop())
            depth -= 1
        elif kind in _UNCERTAIN or (index and kinds[index - 1] in _LABELLING):
            return None
        elif kind in _VERBS and _begins(kinds, index, depth, open_):
            open_.append(_Block(kind, depth, index))
        elif kind in _VERBS or not _is_in_order(kind, index, depth, open_):
            return None
    if len(open_) != 1 or open_[0].depth or not _are_balanced(kinds):
        return None
    open_[0].end = len(kinds)
    return [*closed, open_[0]]


def _are_balanced(kinds: Sequence[TokenType]) -> bool:
    depth = 0
    for kind in kinds:
        if kind is _OPENING:
            depth += 1
        elif kind is _CLOSING:
            depth -= 1
            if depth < 0:
                return False
    return depth == 0


def _is_in_order(kind: TokenType, index: int, depth: int, open_: Sequence[_Block]) -> bool:
    """Notes WHERE, and what may follow it, of the innermost block; False: a WHERE is out of place."""
    block = open_[-1] if open_ else None
    if block is None or block.depth != depth:
        return True
    if kind is not _WHERE:
        block.following = block.following or index
        return True
    if block.where is not None or block.following is not None:
        return False
    block.where = index
    return True


def _begins(kinds: Sequence[TokenType], index: int, depth: int, open_: Sequence[_Block]) -> bool:
    """Whether a verb certainly begins a block of its own."""
    if index == 0:
        return True
    if depth:
        return kinds[index - 1] is _OPENING
    return kinds[0] is _WITH and kinds[index - 1] is _CLOSING and not open_


def _tables_by_block(
    parsed: Parsed, blocks: Sequence[_Block], sharded: Sequence[Located]
) -> list[tuple[_Block, list[Located]]] | None:
    """The tables that are read and changed, by the block whose FROM names them; None: not certain.

    The tree must see the same blocks: all tables of one belong to one node, and no others to it.
    """
    found: dict[int, tuple[_Block, exp.Expr, list[Located]]] = {}
    starts = [token.start for token in parsed.tokens]
    for located in sharded:
        use = located.use
        if use.use is Use.INSERT:
            continue
        owner = use.node.find_ancestor(*_OWNERS)
        alias = use.node.args.get("alias") or use.node
        at, last = _index_at(starts, use.node.this), _index_at(starts, alias.this)
        if not use.inner or owner is None or at is None or last is None:
            return None
        block = next((each for each in blocks if each.first < at < each.end), None)
        if block is None or type(owner) is not _VERBS[block.verb] or last >= block.from_end:
            return None
        if block.stop - 1 == block.where or parsed.kinds[block.stop - 1] in _LABELLING:
            return None
        entry = found.setdefault(block.first, (block, owner, []))
        if entry[1] is not owner:
            return None
        entry[2].append(located)
    if len({id(owner) for _, owner, _ in found.values()}) != len(found):
        return None
    return [(block, tables) for block, _, tables in found.values()]


def _index_at(starts: Sequence[int], name: exp.Expr | None) -> int | None:
    """The number of the token that is this name; None: it is not known."""
    start = name.meta.get("start") if name is not None else None
    if start is None:
        return None
    at = bisect_left(starts, start)
    return at if at < len(starts) and starts[at] == start else None


def _filter(parsed: Parsed, block: _Block, predicates: str) -> Iterator[Edit]:
    end = parsed.tokens[block.stop - 1].end + 1
    if block.where is None:
        yield insertion(end, f" WHERE {predicates}")
    else:
        yield insertion(parsed.tokens[block.where].end + 1, " (")
        yield insertion(end, f") AND {predicates}")


def _filled(parsed: Parsed, block: _Block, inserted: Inserted, value: str) -> list[Edit] | None:
    """Of `INSERT INTO … (a, b) VALUES (…), (…)`: the tenant's column, and its value in each row."""
    rows, columns = inserted.node.expression, inserted.columns
    if inserted.node is not parsed.tree or not isinstance(rows, exp.Values):
        return None
    if block.verb is not TokenType.INSERT or not inserted.listed or columns is None:
        return None
    kinds, tokens = parsed.kinds, parsed.tokens
    opening = kinds.index(_OPENING, block.first)
    closing = _closing(kinds, opening)
    between = kinds[opening + 2 : closing : 2]
    if closing - opening != 2 * len(columns) or set(between) - {_COMMA}:
        return None
    column = quoted(inserted.located.tenant_column or "")
    needed = [insertion(tokens[closing].start, f", {column}")]
    before = _VALUES
    for row in rows.expressions:
        if not isinstance(row, exp.Tuple) or len(row.expressions) != len(columns):
            return None
        if kinds[closing + 1 : closing + 3] != (before, _OPENING):
            return None
        opening, before = closing + 2, _COMMA
        closing = _closing(kinds, opening)
        if _STAR in kinds[opening:closing]:
            return None
        needed.append(insertion(tokens[closing].start, f", {value}"))
    behind = kinds[closing + 1 : closing + 2]
    return needed if not behind or behind[0] in _BEHIND_ROWS else None


def _closing(kinds: Sequence[TokenType], opening: int) -> int:
    """The parenthesis that closes the one at `opening`; they are balanced."""
    depth = 0
    for index in range(opening, len(kinds)):
        if kinds[index] is _OPENING:
            depth += 1
        elif kinds[index] is _CLOSING:
            depth -= 1
            if depth == 0:
                return index
    raise AssertionError("the parentheses were balanced")


def _is_apart(text: str, edit: Edit) -> bool:
    """Whether what is put in cannot grow together with what stands behind it."""
    behind = text[edit.start : edit.start + 1]
    return behind in _SPACES or not behind or edit.text.endswith("(")
