"""Many statements, one JSON line each, and the answers in the same order."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from router import SERVICE_ROLE, Deadline, Planning, QueryContext, Statement, TenantKeyInvalid
from server.explaining.refusal import refusal_of
from server.sql.parameters import planned
from shardmap import InvalidTenantKey, KeyType, TenantId, tenant_id

AUTHENTICATED: Final = "authenticated"
ROLES: Final = ("anon", AUTHENTICATED, SERVICE_ROLE)

MALFORMED: Final = "INVALID_INPUT"
CRASHED: Final = "INTERNAL_ERROR"


class LineMalformed(ValueError):
    """A line is not what a line of a batch is."""


class Lines:
    """Answers the lines of a batch. `failed` says whether one of them could not be answered."""

    def __init__(self, planning: Planning, key_type: KeyType, *, role: str | None = None) -> None:
        self._planning = planning
        self._key_type = key_type
        self._role = role
        self.failed = False

    def answers(self, lines: Iterable[bytes]) -> Iterator[str]:
        """One line of JSON for each line."""
        for number, line in enumerate(lines, 1):
            yield json.dumps(self._answer(number, line))

    def _answer(self, number: int, line: bytes) -> dict[str, Any]:
        identity: Any = None
        try:
            asked = _object(line)
            identity = asked.get("id")
            return {"id": identity, **self._explained(asked)}
        except LineMalformed as error:
            code, message = MALFORMED, str(error)
        except Exception as error:  # noqa: BLE001 - of this line; the others are answered
            code, message = CRASHED, f"{type(error).__name__}: {error}"
        self.failed = True
        return {
            "id": identity,
            "line": number,
            "error": {"code": code, "message": message, "hint": None},
        }

    def _explained(self, asked: dict[str, Any]) -> dict[str, Any]:
        sql, params = asked.get("sql"), asked.get("params")
        if not isinstance(sql, str):
            raise LineMalformed("sql must be text")
        if params is not None and not isinstance(params, list):
            raise LineMalformed("params must be a list")
        try:
            context = context_of(asked.get("tenant"), self._key_type, self._role)
        except TenantKeyInvalid as error:
            return refusal_of(error)
        statement = Statement(sql, planned(params or ()))
        return self._planning.explain(statement, context).summary()


def context_of(
    tenant: object, key_type: KeyType, role: str | None, *, seconds: float = 3600.0
) -> QueryContext:
    """Who asks: somebody signed in of that tenant, or without one the service.

    Raises:
        LineMalformed: The tenant is neither text nor a number.
        TenantKeyInvalid: It is no key of the map's type.
    """
    if tenant is None:
        return _context(role or SERVICE_ROLE, None, seconds)
    if isinstance(tenant, bool) or not isinstance(tenant, int | str):
        raise LineMalformed("tenant must be text, a whole number or null")
    given = str(tenant) if key_type is KeyType.TEXT else tenant
    try:
        return _context(role or AUTHENTICATED, tenant_id(key_type, given), seconds)
    except InvalidTenantKey as error:
        raise TenantKeyInvalid(str(error)) from error


def _context(role: str, tenant: TenantId | None, seconds: float) -> QueryContext:
    """Claims as `fluxshard token` would make them."""
    claims = {"role": role} if tenant is None else {"role": role, "tenant_id": tenant}
    session = f"tenant:{tenant}" if tenant is not None else "operator"
    return QueryContext(role, tenant, session, json.dumps(claims), Deadline.after(seconds))


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise LineMalformed(f"is not JSON: {str(error)[:100]}") from error
    if not isinstance(found, dict):
        raise LineMalformed("is no JSON object")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
