"""The analyses that were made, by text and by shape: why no request on a warm path parses anything."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

from router.analysis.analyse import Ask, Caller, analyse
from router.analysis.literals import Shape, Template, filled, marked, shape_of
from router.analysis.query import Query
from router.analysis.scoping import Setting
from router.context import SERVICE_ROLE, QueryContext
from router.errors import RouterError, StatementNotUnderstood
from router.statement import Form, Statement

CACHE_ENTRIES: Final = 4096
"""A REST application has hundreds of texts; an entry holds about 4 KiB of text."""

LONG_CHARS: Final = 8 * 1024
"""Longer texts are bulk work of one time: they are not kept, and analysed aside (some 10 ms for
each 4 KiB), so that other requests do not wait for them."""

SHAPE_ENTRIES: Final = 2048
"""Shapes of texts with literals in them: as many as an application has statements."""

Entry = Query | RouterError


@dataclass(slots=True)
class Counts:
    """How the analyses were found, since the start."""

    texts: int = 0
    """By the exact text."""
    shapes: int = 0
    """By the text without its literals."""
    misses: int = 0
    """Not at all: they were made."""


class Analyses:
    """Analyses by text, then by shape, least recently used ones dropped first.

    Refusals are kept by text. A shape becomes a template when it comes for the second time, and
    only if what the template gives for that text is what its own analysis gives.
    """

    def __init__(self, entries: int = CACHE_ENTRIES, shapes: int = SHAPE_ENTRIES) -> None:
        self._entries = entries
        self._most_shapes = shapes
        self._cache: OrderedDict[tuple[object, ...], Entry] = OrderedDict()
        self._shapes: OrderedDict[tuple[object, ...], Template | None] = OrderedDict()
        """None: seen once, or not to be answered by shape."""
        self._barred: set[tuple[object, ...]] = set()
        """Shapes whose analysis depends on their literals."""
        self.counts = Counts()

    def query(
        self,
        statement: Statement,
        context: QueryContext,
        setting: Setting,
        *,
        leaving_out: bool = False,
    ) -> Query:
        """The statement's Query, analysed at most once while it stays in the cache.

        One longer than `LONG_CHARS` is analysed each time, and touches nothing but the counts.
        While a tenant moves, statements about all are found by their text alone.
        """
        if len(statement.sql) > LONG_CHARS:
            self.counts.misses += 1
            return _given(_fresh(statement, context, setting, leaving_out=leaving_out))
        key = (
            statement.sql,
            statement.form is Form.JSON,  # hashing an enum is a call of Python
            statement.counted,
            context.tenant is not None,
            context.role == SERVICE_ROLE,
            setting.version,
            leaving_out,
        )
        entry = self._cache.get(key)
        if entry is None:
            if leaving_out:
                self.counts.misses += 1
                entry = _fresh(statement, context, setting, leaving_out=True)
            else:
                entry = self._found(key, statement, context, setting)
            self._cache[key] = entry
            if len(self._cache) > self._entries:
                self._cache.popitem(last=False)
        else:
            self.counts.texts += 1
            self._cache.move_to_end(key)
        return _given(entry)

    def _found(
        self,
        key: tuple[object, ...],
        statement: Statement,
        context: QueryContext,
        setting: Setting,
    ) -> Entry:
        shape = shape_of(statement.sql)
        shaped = (shape.key, *key[1:]) if shape is not None else None
        template = self._shapes.get(shaped) if shaped is not None else None
        if shape is not None and shaped is not None and template is not None:
            self.counts.shapes += 1
            self._shapes.move_to_end(shaped)
            return filled(template, statement.sql, shape)
        self.counts.misses += 1
        entry = _fresh(statement, context, setting)
        if shape is not None and shaped is not None and isinstance(entry, Query):
            if shaped in self._shapes:
                self._learn(shaped, shape, entry, statement, context, setting)
            else:
                self._keep(shaped, None)
        return entry

    def _learn(  # noqa: PLR0913, PLR0917 - one statement with all that is known of it
        self,
        shaped: tuple[object, ...],
        shape: Shape,
        own: Query,
        statement: Statement,
        context: QueryContext,
        setting: Setting,
    ) -> None:
        """Make a template of a shape that has come again, and try it on this text."""
        if shaped in self._barred:
            return
        found = marked(statement.sql, shape)
        if found is not None:
            sql, markers, constants = found
            entry = _fresh(statement._replace(sql=sql), context, setting)
            if isinstance(entry, Query):
                template = Template(entry, markers, constants)
                if _same(filled(template, statement.sql, shape), own):
                    self._keep(shaped, template)
                    return
        self._barred.add(shaped)

    def _keep(self, shaped: tuple[object, ...], template: Template | None) -> None:
        self._shapes[shaped] = template
        if len(self._shapes) > self._most_shapes:
            dropped, _ = self._shapes.popitem(last=False)
            self._barred.discard(dropped)


def _fresh(
    statement: Statement, context: QueryContext, setting: Setting, *, leaving_out: bool = False
) -> Entry:
    ask = Ask(statement.sql, statement.form, statement.counted)
    caller = Caller(context.tenant is not None, context.service, leaving_out)
    try:
        return analyse(ask, caller, setting)
    except RouterError as refusal:
        return refusal
    except RecursionError:
        return StatementNotUnderstood("the statement is nested too deep")


def _given(entry: Entry) -> Query:
    if isinstance(entry, RouterError):
        raise entry.with_traceback(None)
    return entry


def _same(one: Query, other: Query) -> bool:
    """Whether two analyses are alike; errors are compared by what they say."""
    alike = repr(one.gather_refusal) == repr(other.gather_refusal)
    return alike and replace(one, gather_refusal=None) == replace(other, gather_refusal=None)
