"""Which tables a statement names, where in its text, and how each is read or written."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple

from sqlglot import TokenType
from sqlglot import expressions as exp

from router.analysis.parse import Parsed
from router.errors import StatementNotUnderstood

_SET_OPERATIONS: Final = frozenset({TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT})

_CLAUSES: Final = frozenset(
    {
        TokenType.FROM,
        TokenType.WHERE,
        TokenType.GROUP_BY,
        TokenType.HAVING,
        TokenType.WINDOW,
        TokenType.ORDER_BY,
        TokenType.LIMIT,
        TokenType.OFFSET,
        TokenType.FETCH,
        TokenType.FOR,
        TokenType.RETURNING,
        TokenType.SET,
        TokenType.USING,
        TokenType.VALUES,
    }
)


class Clause(NamedTuple):
    """One clause in the text: its keyword, where its content begins and ends.

    `before` is the end of what stands before the keyword.
    """

    keyword: TokenType
    start: int
    content: int
    end: int
    before: int


class Region(NamedTuple):
    """The text of one SELECT, INSERT, UPDATE or DELETE, from its verb on, without its WITH.

    Offsets count characters; `end` points behind the last token. Deeper parentheses belong to the
    clause that holds them.
    """

    verb: TokenType
    depth: int
    start: int
    body: int
    end: int
    clauses: Mapping[TokenType, Clause]


class Use(Enum):
    """What a statement does with a table that it names."""

    READ = auto()
    INSERT = auto()
    UPDATE = auto()
    DELETE = auto()
    MERGE = auto()


@dataclass(frozen=True, slots=True)
class TableUse:
    """One mention of a table. `alias` is the name its columns are qualified with, quoted.

    `inner` is true when a predicate in the region's WHERE filters exactly this table's rows: it
    is no side of an outer join that could be filled with NULLs.
    """

    node: exp.Table
    schema: str | None
    relation: str
    use: Use
    alias: str
    inner: bool
    region: Region


def folded(identifier: exp.Expr | None) -> str:
    """The name PostgreSQL stores for an identifier: unquoted ones in lower case (ASCII)."""
    if not isinstance(identifier, exp.Identifier):
        raise StatementNotUnderstood("a name is not understood")
    name = str(identifier.this)
    if identifier.args.get("quoted"):
        return name
    return ascii_lower(name)


def ascii_lower(name: str) -> str:
    """The name in lower case as PostgreSQL folds it: letters beyond ASCII stay as they are."""
    if name.isascii():
        return name.lower()
    return "".join(char.lower() if char.isascii() else char for char in name)


def quoted(name: str) -> str:
    """The name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def regions(parsed: Parsed) -> tuple[Region, ...]:
    """All regions of the statement, in order of their beginning."""
    found = _Scan(parsed).run()
    return tuple(found) if len(found) < 2 else tuple(sorted(found, key=_beginning))


def _beginning(region: Region) -> int:
    return region.start


def table_uses(parsed: Parsed, found: tuple[Region, ...]) -> tuple[TableUse, ...]:
    """Every mention of a table (not of a CTE, nor of a function in FROM), given its regions."""
    return tuple(_uses(parsed, found))


def _uses(parsed: Parsed, found: tuple[Region, ...]) -> Iterator[TableUse]:
    has_ctes = parsed.nodes.have(exp.With)
    for node in parsed.nodes.of(exp.Table):
        if not isinstance(node.this, exp.Identifier) or isinstance(node.parent, exp.Lock):
            continue  # a function in FROM; FOR UPDATE OF names an alias
        if node.args.get("catalog") is not None:
            raise StatementNotUnderstood("names of another database are not understood")
        schema = folded(node.args["db"]) if node.args.get("db") is not None else None
        relation = folded(node.this)
        use = _use_of(node)
        # what is written is never a CTE, whatever that is called
        unqualified = schema is None and use is Use.READ
        if has_ctes and unqualified and visible_cte(node, relation) is not None:
            continue
        alias = node.args.get("alias")
        name = folded(alias.this) if alias is not None and alias.this is not None else relation
        start = _start(node)
        region = _innermost(found, start)
        yield TableUse(
            node=node,
            schema=schema,
            relation=relation,
            use=use,
            alias=quoted(name),
            inner=_inner(node, use),
            region=region,
        )


def _start(node: exp.Table) -> int:
    first = node.args.get("db") or node.this
    start = first.meta.get("start")
    if start is None:
        raise StatementNotUnderstood("the place of a table in the text is not known")
    return int(start)


def _innermost(found: tuple[Region, ...], offset: int) -> Region:
    for region in reversed(found):  # those that begin later lie deeper
        if region.start <= offset < region.end:
            return region
    raise StatementNotUnderstood("a table stands outside every clause")


def visible_cte(node: exp.Expr, name: str) -> exp.CTE | None:
    """The CTE that an unqualified name means where the node stands; None: it means a table."""
    inside: exp.Expr = node
    above = node.parent
    while above is not None:
        with_ = above.args.get("with_")
        if isinstance(with_, exp.With):
            visible = list(with_.expressions)
            if inside is with_ and not with_.args.get("recursive"):
                own = next(i for i, cte in enumerate(visible) if _holds(cte, node))
                visible = visible[:own]
            for cte in visible:
                if isinstance(cte, exp.CTE) and folded(cte.args["alias"].this) == name:
                    return cte
        inside, above = above, above.parent
    return None


def _holds(ancestor: exp.Expr, node: exp.Expr) -> bool:
    at: exp.Expr | None = node
    while at is not None:
        if at is ancestor:
            return True
        at = at.parent
    return False


def _use_of(node: exp.Table) -> Use:
    parent = node.parent
    if isinstance(parent, exp.Schema) and isinstance(parent.parent, exp.Insert):
        return Use.INSERT
    if isinstance(parent, exp.Insert) and parent.this is node:
        return Use.INSERT
    if isinstance(parent, exp.Update) and parent.this is node:
        return Use.UPDATE
    if isinstance(parent, exp.Merge) and parent.this is node:
        return Use.MERGE
    deletes = isinstance(parent, exp.Delete) and parent.this is node
    return Use.DELETE if deletes else Use.READ


def _inner(node: exp.Table, use: Use) -> bool:
    """Whether WHERE may filter this table's rows one for one."""
    parent = node.parent
    if use is Use.UPDATE or use is Use.DELETE or use is Use.MERGE:
        return True
    if node.args.get("joins") or use is Use.INSERT:
        return False
    if isinstance(parent, exp.Delete):
        return True  # USING
    if not isinstance(parent, exp.From | exp.Join):
        return False
    if isinstance(parent, exp.Join) and (parent.side or parent.method):
        return False
    owner = parent.parent
    if isinstance(owner, exp.Update):
        return not owner.args.get("joins")
    return isinstance(owner, exp.Select) and all(
        not join.method and (join.side or "").upper() in {"", "LEFT"}
        for join in owner.args.get("joins") or ()
    )


@dataclass(slots=True)
class _Open:
    verb: TokenType
    depth: int
    start: int
    body: int
    marks: list[tuple[TokenType, int, int, int]]


class _Scan:
    """One pass over the tokens with a stack of open regions."""

    def __init__(self, parsed: Parsed) -> None:
        self.tokens = parsed.tokens
        self.kinds = parsed.kinds
        self.depth = 0
        self.open: list[_Open] = []
        self.closed: list[Region] = []

    def run(self) -> list[Region]:
        for index, kind in enumerate(self.kinds):
            step = _STEPS.get(kind)
            if step is not None:
                step(self, index)
        self._close(0, len(self.tokens))
        return self.closed

    # What each kind of token does

    def parenthesis(self, _: int) -> None:
        self.depth += 1

    def end(self, index: int) -> None:
        self._close(self.depth, index)
        self.depth -= 1

    def verb(self, index: int) -> None:
        token = self.tokens[index]
        self.open.append(_Open(self.kinds[index], self.depth, token.start, token.end + 1, []))

    def write(self, index: int) -> None:
        if not self._follows(index, "THEN"):
            self.verb(index)

    def update(self, index: int) -> None:
        if not self._follows(index, "FOR", "KEY", "DO", "THEN"):
            self.verb(index)

    def returning(self, index: int) -> None:
        self._leave_select(index)
        self._mark(index)

    def on(self, index: int) -> None:
        if self._next_text(index) == "CONFLICT":
            self._leave_select(index)
            self._mark(index)
        elif self._in_merge():
            self._mark(index)

    def when(self, index: int) -> None:
        if self._in_merge() and self._next_text(index) in {"MATCHED", "NOT"}:
            self._mark(index)

    def set_operation(self, index: int) -> None:
        if (
            self.open
            and self.open[-1].depth == self.depth
            and self.open[-1].verb is TokenType.SELECT
        ):
            self._finish(self.open.pop(), index)

    def clause(self, index: int) -> None:
        """Behind AS, any word is the name of an output."""
        if not self._follows(index, "AS"):
            self._mark(index)

    def from_(self, index: int) -> None:
        """FROM also ends IS DISTINCT and begins a DELETE."""
        if not self._follows(index, "AS", "DISTINCT", "DELETE"):
            self._mark(index)

    def using(self, index: int) -> None:
        """A clause of DELETE and MERGE alone."""
        if self.open and self.open[-1].verb in {TokenType.DELETE, TokenType.MERGE}:
            self.clause(index)

    # Of what the steps consist

    def _in_merge(self) -> bool:
        return (
            bool(self.open)
            and self.open[-1].verb is TokenType.MERGE
            and self.open[-1].depth == self.depth
        )

    def _follows(self, index: int, *words: str) -> bool:
        if not index or self.kinds[index - 1] in _QUOTES:
            return False
        return self.tokens[index - 1].text.upper() in words

    def _next_text(self, index: int) -> str:
        return self.tokens[index + 1].text.upper() if index + 1 < len(self.tokens) else ""

    def _mark(self, index: int) -> None:
        if self.open and self.open[-1].depth == self.depth:
            token = self.tokens[index]
            before = self.tokens[index - 1].end + 1 if index else token.start
            self.open[-1].marks.append((self.kinds[index], token.start, token.end + 1, before))

    def _leave_select(self, index: int) -> None:
        """A clause of the INSERT ends the SELECT that feeds it."""
        if (
            len(self.open) > 1
            and self.open[-1].verb is TokenType.SELECT
            and self.open[-1].depth == self.open[-2].depth == self.depth
        ):
            self._finish(self.open.pop(), index)

    def _close(self, depth: int, index: int) -> None:
        while self.open and self.open[-1].depth >= depth:
            self._finish(self.open.pop(), index)

    def _finish(self, region: _Open, index: int) -> None:
        """End a region before the token at `index`."""
        end = last = self.tokens[index - 1].end + 1 if index else region.body
        clauses: dict[TokenType, Clause] = {}
        for keyword, start, content, before in reversed(region.marks):
            clauses[keyword] = Clause(keyword, start, content, last, before)
            last = before
        self.closed.append(
            Region(region.verb, region.depth, region.start, region.body, end, clauses)
        )


_QUOTES: Final = frozenset({TokenType.IDENTIFIER, TokenType.STRING})

_STEPS: Final[Mapping[TokenType, Callable[[_Scan, int], None]]] = {
    **dict.fromkeys(_CLAUSES, _Scan.clause),
    **dict.fromkeys(_SET_OPERATIONS, _Scan.set_operation),
    TokenType.L_PAREN: _Scan.parenthesis,
    TokenType.R_PAREN: _Scan.end,
    TokenType.SELECT: _Scan.verb,
    TokenType.MERGE: _Scan.verb,
    TokenType.INSERT: _Scan.write,
    TokenType.DELETE: _Scan.write,
    TokenType.UPDATE: _Scan.update,
    TokenType.RETURNING: _Scan.returning,
    TokenType.ON: _Scan.on,
    TokenType.WHEN: _Scan.when,
    TokenType.FROM: _Scan.from_,
    TokenType.USING: _Scan.using,
}
"""What is not here goes on with what is open."""
