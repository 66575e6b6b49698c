"""Statements that are never routed, by their first word, and what to do instead."""

from typing import Final

_SCHEMA: Final = "Schema changes go through `fluxshard migrate`."
_TRANSACTION: Final = (
    "Send the statements of one transaction together, as `statements` of the SQL door."
)
_SESSION: Final = "Connections are shared: a statement finds the same settings each time."
_CURSOR: Final = "Use LIMIT with a key to page through rows."
_COPY: Final = "Insert rows with INSERT or the REST API; read them with SELECT."
_CODE: Final = "Nothing says which rows its code reads and writes: send its statements."
_CHANGES: Final = "Nobody could be told on other connections."
_UPKEEP: Final = "Maintenance is done on each server, beside the router."
_LOCK: Final = "Lock rows with SELECT … FOR UPDATE."

_HINTS: Final = {
    word: hint
    for words, hint in {
        "CREATE ALTER DROP TRUNCATE COMMENT GRANT REVOKE REASSIGN SECURITY IMPORT REFRESH": _SCHEMA,
        "BEGIN START COMMIT END ROLLBACK ABORT SAVEPOINT RELEASE": _TRANSACTION,
        "SET RESET SHOW DISCARD PREPARE EXECUTE DEALLOCATE LOAD": _SESSION,
        "DECLARE FETCH MOVE CLOSE": _CURSOR,
        "COPY": _COPY,
        "DO CALL": _CODE,
        "LISTEN NOTIFY UNLISTEN": _CHANGES,
        "VACUUM ANALYZE CLUSTER REINDEX CHECKPOINT": _UPKEEP,
        "LOCK": _LOCK,
    }.items()
    for word in words.split()
}


def hint_for(verb: str) -> str | None:
    """What to do instead of a statement that begins with this word; None: the word is no such."""
    return _HINTS.get(verb.upper())
