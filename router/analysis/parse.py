"""SQL text to one syntax tree, with bounds, or a named refusal."""

import logging
import re
import threading
from dataclasses import dataclass
from typing import Final

from sqlglot import Dialect, Token, TokenType
from sqlglot import expressions as exp
from sqlglot.errors import SqlglotError

from router.analysis.grammar import check_tokens, check_tree
from router.analysis.nodes import Nodes
from router.analysis.prefix import Explained, explain_prefix
from router.analysis.verbs import hint_for
from router.errors import SeveralStatements, StatementNotUnderstood

_POSTGRES: Final = Dialect.get_or_raise("postgres")

# sqlglot logs the text of statements that it reads as opaque commands; texts may hold values.
logging.getLogger("sqlglot").disabled = True

MAX_STATEMENT_CHARS: Final = 256 * 1024
"""Parsing is linear in the text (about 1 ms per 4 KiB) and runs on the event loop."""

MAX_TOKENS: Final = 32_768
"""What analysis takes grows with the words: about 25 us each, so this is most of a second."""

ROOTS: Final = (
    exp.Select,
    exp.SetOperation,
    exp.Values,
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Merge,
)
"""The statements that are routed. Whatever else parses is refused."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """One statement: its text (the offsets of tokens and tree refer to it), tokens and tree.

    `kinds` are those of the tokens, `nodes` those of the tree by class. `explained` is the EXPLAIN before it, which is no part of them.
    """

    sql: str
    tokens: tuple[Token, ...]
    kinds: tuple[TokenType, ...]
    tree: exp.Expr
    nodes: Nodes
    explained: Explained | None = None

    @property
    def body(self) -> str:
        """The text without a comment or semicolon at its end, which would swallow what follows."""
        end = self.tokens[-1].end + 1
        return self.sql[:end] if self.sql[end:].strip() else self.sql


def parse(sql: str) -> Parsed:
    """The syntax tree of one statement.

    Raises:
        SeveralStatements: The text holds more than one.
        StatementNotUnderstood: It is empty, too long, too deep, does not parse, or is of a kind
            that is never routed.
    """
    if len(sql) > MAX_STATEMENT_CHARS:
        raise StatementNotUnderstood(
            f"the statement is longer than {MAX_STATEMENT_CHARS} characters"
        )
    if "\0" in sql:
        raise StatementNotUnderstood("the statement holds a NUL character")
    explained = explain_prefix(sql)
    spaced = _spaced(sql if explained is None else sql[len(explained.text) :])
    spaced, tokens, trees = _read(spaced)
    statements = [
        tree for tree in trees if tree is not None and not isinstance(tree, exp.Semicolon)
    ]
    if len(statements) > 1:
        raise SeveralStatements("the text holds more than one statement")
    if not statements:
        raise StatementNotUnderstood("the statement is empty")
    tree = statements[0]
    if not isinstance(tree, ROOTS):
        raise StatementNotUnderstood(f"{_verb(tokens)} statements are not routed")
    kinds = tuple([token.token_type for token in tokens])
    if _END in kinds:
        tokens = [token for token in tokens if token.token_type is not _END]
        kinds = tuple([token.token_type for token in tokens])
    nodes = Nodes(tree)
    check_tree(tree, nodes, kinds)
    return Parsed(spaced, tuple(tokens), kinds, tree, nodes, explained)


_END: Final = TokenType.SEMICOLON
_TABLE: Final = TokenType.TABLE


class _Sqlglot(threading.local):
    """A tokenizer and a parser for each thread. Making them costs as much as reading a short text."""

    def __init__(self) -> None:
        self.tokenize = _POSTGRES.tokenizer().tokenize
        self.parse = _POSTGRES.parser().parse


_SQLGLOT: Final = _Sqlglot()


def _read(sql: str) -> tuple[str, list[Token], list[exp.Expr | None]]:
    """The text with TABLE spelled out, its tokens, and what the parser makes of them."""
    try:
        tokens = _SQLGLOT.tokenize(sql)
        _refuse_verb(tokens)
        if _TABLE in [token.token_type for token in tokens]:
            sql = _without_table(sql, tokens)
            tokens = _SQLGLOT.tokenize(sql)
        _bound(tokens)
        check_tokens(sql, tokens)
        return sql, tokens, _SQLGLOT.parse(tokens, sql)
    except StatementNotUnderstood:
        raise
    except SqlglotError as error:
        raise StatementNotUnderstood(
            f"the statement does not parse: {_first_line(error)}"
        ) from error
    except RecursionError as error:
        raise StatementNotUnderstood("the statement is nested too deep") from error
    except Exception as error:  # the parser trips over some texts, with errors of any kind
        raise StatementNotUnderstood("the statement does not parse") from error


def _spaced(sql: str) -> str:
    """The same statement with a space after every `$n`.

    sqlglot 30.30 reads `$2,$3` as the opening of a dollar quote with the tag `2,`; a space makes
    it two parameters. Behind `$1` it cannot read a text that ends in `''`; a space helps there,
    too. Text in quotes and comments stays as it is.
    """
    if "$" not in sql:
        return sql
    if _QUOTING.search(sql) is None:
        return _PARAMETER.sub(r"\g<0> ", sql)
    pieces: list[str] = []
    at = 0
    spaced = False
    while (match := _LEXEME.search(sql, at)) is not None:
        pieces.append(sql[at : match.start()])
        at = match.end()
        if match.lastgroup == "tag":  # a dollar quote: everything up to its closing tag is text
            close = sql.find(match["tag"], at)
            at = len(sql) if close < 0 else close + len(match["tag"])
            pieces.append(sql[match.start() : at])
        elif match.lastgroup == "parameter":
            pieces.append(match[0] + " ")
            spaced = True
        else:
            pieces.append(match[0])
    pieces.append(sql[at:])
    if spaced and sql.endswith("'"):
        pieces.append(" ")
    return "".join(pieces)


_QUOTING: Final = re.compile(r"""['"]|--|/\*|\$(?![0-9])""")
"""What text that is no SQL may begin with."""

_PARAMETER: Final = re.compile(r"\$[0-9]+")

_LEXEME: Final = re.compile(
    r"""
      \b[eE]'(?:[^'\\]|\\.|'')*'
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | --[^\n]*
    | /\*.*?\*/
    | (?<![\w$])(?P<tag>\$(?:[A-Za-z_\x80-\uffff][\w\x80-\uffff]*)?\$)
    | (?P<parameter>\$[0-9]+)
    """,
    re.VERBOSE | re.DOTALL,
)


def _refuse_verb(tokens: list[Token]) -> None:
    """Before anything else, since the parser reads some of these statements and some not."""
    if tokens and tokens[0].token_type is not TokenType.IDENTIFIER:
        verb = tokens[0].text.split(maxsplit=1)[0]
        if (hint := hint_for(verb)) is not None:
            raise StatementNotUnderstood(f"{verb.upper()} statements are not routed", hint=hint)


def _without_table(sql: str, tokens: list[Token]) -> str:
    """The text with `SELECT * FROM t` for `TABLE t`, which is a reserved word but behind AS."""
    pieces: list[str] = []
    at = 0
    before = None
    for token in tokens:
        label = before in {TokenType.ALIAS, TokenType.DOT}
        if token.token_type is TokenType.TABLE and not label:
            pieces += [sql[at : token.start], "SELECT * FROM"]
            at = token.end + 1
        before = token.token_type
    pieces.append(sql[at:])
    return "".join(pieces)


def _bound(tokens: list[Token]) -> None:
    if len(tokens) > MAX_TOKENS:
        raise StatementNotUnderstood(
            f"the statement has more than {MAX_TOKENS} words",
            hint="Send values as arguments: one array, or rows as JSON.",
        )


def _verb(tokens: list[Token]) -> str:
    return tokens[0].text.upper()[:20] if tokens else "empty"


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:200]
