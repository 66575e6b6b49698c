"""Whether claims hold at a point in time: expiry, not before, issued at, issuer, kind of token."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from server.errors import ClaimsRefused

Claims = Mapping[str, Any]

CLOCK_SKEW_S: Final = 30
"""How far the clocks of issuer and server may be apart, as in PostgREST."""

NEVER: Final = float("inf")


def check_claims(claims: Claims, now: float, issuers: Collection[str]) -> float:
    """Until when the claims hold, in seconds since the epoch, the clock skew included.

    Raises:
        ClaimsRefused: They do not hold now, come from elsewhere, or are of a refresh token.
    """
    until = _expiry(claims, now)
    for name, message in (("nbf", "JWT not yet valid"), ("iat", "JWT issued at future")):
        begin = _seconds(claims, name)
        if begin is not None and begin > now + CLOCK_SKEW_S:
            raise ClaimsRefused(message)
    issuer = claims.get("iss") or ""
    if not isinstance(issuer, str) or (issuer and issuer not in issuers):
        raise ClaimsRefused("JWT issuer not accepted")
    if claims.get("token_type", "access") != "access":
        raise ClaimsRefused("JWT is no access token")
    return until


def _expiry(claims: Claims, now: float) -> float:
    expires = _seconds(claims, "exp")
    if expires is None:
        return NEVER
    until = expires + CLOCK_SKEW_S
    if now > until:
        raise ClaimsRefused("JWT expired")
    return until


def _seconds(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ClaimsRefused(f"The JWT '{name}' claim must be a number")
    return value
