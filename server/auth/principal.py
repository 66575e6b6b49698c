"""Claims to a `Principal`: the PostgreSQL role, the tenant and the session, derived once."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import orjson

from router import SERVICE_ROLE, StatementFailed, check_role
from server.auth.claims import Claims
from server.auth.role_path import RolePath, role_path
from server.errors import ClaimsRefused, CredentialMissing, RoleUnknown
from server.exchange import Principal
from shardmap import InvalidTenantKey, KeyType, TenantId, tenant_id

ANON: Final = "anon"
AUTHENTICATED: Final = "authenticated"
ANY_ROLE: Final = "*"

_ROLE: Final = role_path(".role")
_DATABASE_ROLES: Final = frozenset({ANON, AUTHENTICATED, SERVICE_ROLE})


@dataclass(frozen=True, slots=True)
class Roles:
    """How tokens become roles. `anonymous` is the role without a token; None: there is none.

    What tokens name runs as it is when it is one of `known`, or anything where they hold `*`;
    others are roles of an application and run as `authenticated`.
    """

    anonymous: str | None = ANON
    known: frozenset[str] = _DATABASE_ROLES
    path: RolePath = _ROLE

    @classmethod
    def of(cls, anonymous: str | None, more: Collection[str], path: str) -> "Roles":
        """The three roles of ours, and these."""
        own = () if anonymous is None else (anonymous,)
        return cls(anonymous, _DATABASE_ROLES.union(more, own), role_path(path))

    def of_claims(self, claims: Claims) -> tuple[str, str]:
        """What the token calls its role, and the role that statements run as.

        Raises:
            CredentialMissing: It names none, and nobody may go without.
            ClaimsRefused: It names no text.
            RoleUnknown: No role of PostgreSQL can be called so.
        """
        named = self.path.find(claims)
        if named is None or named == "":
            if self.anonymous is None:
                raise CredentialMissing
            return self.anonymous, self.anonymous
        if not isinstance(named, str):
            raise ClaimsRefused("The JWT 'role' claim must be a string")
        if named not in self.known and ANY_ROLE not in self.known:
            return named, AUTHENTICATED
        try:
            check_role(named)
        except StatementFailed as error:
            raise RoleUnknown(error.message) from error
        return named, named

    def nobody(self) -> Principal | None:
        """The caller of whom nothing is known; None: such callers are not let in."""
        if self.anonymous is None:
            return None
        claims = orjson.dumps({"role": self.anonymous}).decode()
        return Principal(self.anonymous, None, "anonymous", claims, anonymous=True)


ROLES: Final = Roles()

ANONYMOUS: Final = Principal(
    role=ANON, tenant=None, session="anonymous", claims='{"role":"anon"}', anonymous=True
)
"""The caller of open paths, whom nobody asks."""


def principal(
    claims: Claims, *, tenant_claim: str, key_type: KeyType, key_hash: str, roles: Roles = ROLES
) -> Principal:
    """Who bears these claims.

    A role of an application runs as `authenticated` and stays what it is in the claims; without
    a role the caller is the anonymous one, who may do least. The tenant is the claim of that name,
    else the one inside `app_metadata`. `key_hash` names the session of a token that names none.

    Raises:
        ClaimsRefused: The role is no text, or the tenant no key of the map's type.
        CredentialMissing, RoleUnknown: See `Roles.of_claims`.
    """
    named, role = roles.of_claims(claims)
    if claims.get("role") != named:
        claims = {**claims, "role": named}
    tenant = _tenant(claims, tenant_claim, key_type)
    expires = claims.get("exp")
    return Principal(
        role=role,
        tenant=tenant,
        session=_session(claims, tenant, key_hash),
        claims=orjson.dumps(claims).decode(),
        expires_at=None if expires is None else float(expires),
        anonymous=role == roles.anonymous,
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
