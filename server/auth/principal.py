"""Claims to a `Principal`: the PostgreSQL role, the tenant and the session, derived once."""

from typing import Final

import orjson

from router import SERVICE_ROLE
from server.auth.claims import Claims
from server.errors import ClaimsRefused
from server.exchange import Principal
from shardmap import InvalidTenantKey, KeyType, TenantId, tenant_id

ANON: Final = "anon"
AUTHENTICATED: Final = "authenticated"

_DATABASE_ROLES: Final = frozenset({ANON, AUTHENTICATED, SERVICE_ROLE})

ANONYMOUS: Final = Principal(
    role=ANON, tenant=None, session="anonymous", claims='{"role":"anon"}', expires_at=None
)
"""The caller of whom nothing is known."""


def principal(claims: Claims, *, tenant_claim: str, key_type: KeyType, key_hash: str) -> Principal:
    """Who bears these claims.

    A role of an application runs as `authenticated` and stays what it is in the claims; without
    a role the caller is `anon`, who may do least. The tenant is the claim of that name, else the
    one inside `app_metadata`. `key_hash` names the session of a token that names none.

    Raises:
        ClaimsRefused: The role is no text, or the tenant no key of the map's type.
    """
    role = claims.get("role")
    if role is None or role == "":
        role = ANON
        claims = {**claims, "role": role}
    elif not isinstance(role, str):
        raise ClaimsRefused("The JWT 'role' claim must be a string")
    tenant = _tenant(claims, tenant_claim, key_type)
    expires = claims.get("exp")
    return Principal(
        role=role if role in _DATABASE_ROLES else AUTHENTICATED,
        tenant=tenant,
        session=_session(claims, tenant, key_hash),
        claims=orjson.dumps(claims).decode(),
        expires_at=None if expires is None else float(expires),
    )


def _tenant(claims: Claims, name: str, key_type: KeyType) -> TenantId | None:
    value = claims.get(name)
    if value is None:
        metadata = claims.get("app_metadata")
        value = metadata.get(name) if isinstance(metadata, dict) else None
    if value is None:
        return None
    try:
        return tenant_id(key_type, value)
    except InvalidTenantKey as error:
        raise ClaimsRefused(f"The JWT '{name}' claim is no tenant: {error}") from error


def _session(claims: Claims, tenant: TenantId | None, key_hash: str) -> str:
    """A name for the reader whose freshness counts. The prefixes keep kinds of names apart."""
    for name in ("session_id", "sub"):
        value = claims.get(name)
        if isinstance(value, str | int) and value != "":
            return f"{name}:{value}"
    return f"tenant:{tenant}" if tenant is not None else f"key:{key_hash}"
