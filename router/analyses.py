"""The analyses that were made, by text: the reason why no request on a warm path parses anything."""

from collections import OrderedDict
from typing import Final

from router.analyse import Ask, Caller, Setting, analyse
from router.errors import RouterError
from router.query import Query

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

    def query(self, ask: Ask, caller: Caller, setting: Setting) -> Query:
        """The statement's Query, analysed at most once while it stays in the cache."""
        key = (
            ask.sql,
            ask.form,
            ask.count,
            caller.scoped,
            caller.service,
            setting.schema.version,
            setting.version,
        )
        entry = self._cache.get(key)
        if entry is None:
            self.misses += 1
            entry = _fresh(ask, caller, setting)
            self._cache[key] = entry
            if len(self._cache) > self._entries:
                self._cache.popitem(last=False)
        else:
            self.hits += 1
            self._cache.move_to_end(key)
        if isinstance(entry, RouterError):
            raise entry.with_traceback(None)
        return entry


def _fresh(ask: Ask, caller: Caller, setting: Setting) -> Entry:
    try:
        return analyse(ask, caller, setting)
    except RouterError as refusal:
        return refusal
