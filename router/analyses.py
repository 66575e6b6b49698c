"""The analyses that were made, by text: the reason why no request on a warm path parses anything."""

from collections import OrderedDict
from typing import Final

from router.analyse import Ask, Caller, analyse
from router.context import SERVICE_ROLE, QueryContext
from router.errors import RouterError
from router.query import Query
from router.scoping import Setting
from router.statement import Form, Statement

CACHE_ENTRIES: Final = 4096
"""A REST application has hundreds of shapes; an entry holds about 4 KiB of text."""

Entry = Query | RouterError


class Analyses:
    """Analyses by text, least recently used ones dropped first. Refusals are kept as well."""

    def __init__(self, entries: int = CACHE_ENTRIES) -> None:
        self._entries = entries
        self._cache: OrderedDict[tuple[object, ...], Entry] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def query(self, statement: Statement, context: QueryContext, setting: Setting) -> Query:
        """The statement's Query, analysed at most once while it stays in the cache."""
        key = (
            statement.sql,
            statement.form is Form.JSON,  # hashing an enum is a call of Python
            statement.counted,
            context.tenant is not None,
            context.role == SERVICE_ROLE,
            setting.version,
        )
        entry = self._cache.get(key)
        if entry is None:
            self.misses += 1
            entry = _fresh(statement, context, setting)
            self._cache[key] = entry
            if len(self._cache) > self._entries:
                self._cache.popitem(last=False)
        else:
            self.hits += 1
            self._cache.move_to_end(key)
        if isinstance(entry, RouterError):
            raise entry.with_traceback(None)
        return entry


def _fresh(statement: Statement, context: QueryContext, setting: Setting) -> Entry:
    ask = Ask(statement.sql, statement.form, statement.counted)
    caller = Caller(context.tenant is not None, context.service)
    try:
        return analyse(ask, caller, setting)
    except RouterError as refusal:
        return refusal
