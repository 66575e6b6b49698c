"""What a call of a procedure asks, and who may make it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from server.exchange import Principal
from server.rest import exact_json
from server.rpc.errors import ProcedureAsync, ProcedureForbidden, ProcedureInputInvalid
from server.rpc.procedure import Procedure

_KEYS = frozenset({"params", "async"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as procedures know it."""

    id: str | None
    role: str
    email: str | None
    service: bool
    anonymous: bool


def caller_of(who: Principal) -> Caller:
    """The caller by the claims of the token."""
    claims: Any = orjson.loads(who.claims)
    said = claims if isinstance(claims, dict) else {}
    role = _text(said, "role") or who.role
    return Caller(
        _text(said, "sub"), role, _text(said, "email"), who.service, anonymous=who.role == "anon"
    )


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) else None


def may_call(procedure: Procedure, caller: Caller) -> bool:
    """Whether the caller has one of the roles that the procedure is for."""
    if procedure.public or caller.service:
        return True
    if procedure.roles:
        return caller.role in procedure.roles or "*" in procedure.roles
    return not caller.anonymous


def check_role(procedure: Procedure, caller: Caller) -> None:
    """Refuse who may not call.

    Raises:
        ProcedureForbidden: The caller has none of the roles.
    """
    if not may_call(procedure, caller):
        raise ProcedureForbidden(procedure.roles or ("authenticated",))


def params_of(body: bytes) -> dict[str, Any]:
    """The parameters that a body names; numbers keep their digits.

    Raises:
        ProcedureInputInvalid: It is no JSON object of `params` and `async`.
        ProcedureAsync: The answer is not waited for.
    """
    try:
        form = exact_json.loads(body.decode()) if body.strip() else {}
    except (ValueError, RecursionError) as error:
        raise ProcedureInputInvalid("Empty or invalid json") from error
    if not isinstance(form, dict) or not form.keys() <= _KEYS:
        raise ProcedureInputInvalid("The body of a call is an object of params and async")
    if form.get("async", False) not in {True, False}:
        raise ProcedureInputInvalid("async must be true or false")
    if form.get("async", False):
        raise ProcedureAsync
    params = form.get("params")
    if params is None:
        return {}
    if not isinstance(params, dict):
        raise ProcedureInputInvalid("params must be an object")
    return params


def arguments(procedure: Procedure, params: Mapping[str, Any], caller: Caller) -> tuple[Any, ...]:
    """The values of the procedure's parameters, in their order.

    Raises:
        ProcedureInputInvalid: One is missing, or there is one that it does not have.
    """
    for name in params:
        if name not in procedure.accepted:
            raise ProcedureInputInvalid(f"Unknown parameter: {name[:200]}")
    needed = procedure.accepted - procedure.optional
    missing = sorted(needed - params.keys())
    if missing:
        raise ProcedureInputInvalid(f"Missing parameter: {missing[0]}")
    filled = {
        "caller_id": caller.id,
        "caller_role": caller.role,
        "caller_email": caller.email,
    }
    return tuple(
        filled[name] if name in filled else params.get(name) for name in procedure.parameters
    )
