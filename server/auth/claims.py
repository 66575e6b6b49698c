"""Whether claims hold at a point in time: expiry, not before, issued at, issuer, kind of token."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from server.errors import ClaimsRefused

Claims = Mapping[str, Any]

CLOCK_SKEW_S: Final = 30
"""How far the clocks of issuer and server may be apart, as in PostgREST."""

NEVER: Final = float("inf")


ANY_ISSUER: Final = "*"


def check_claims(claims: Claims, now: float, issuers: Collection[str], audience: str = "") -> float:
    """Until when the claims hold, in seconds since the epoch, the clock skew included.

    Without an audience of ours tokens for anybody's are accepted, with one also those for nobody's.
    Where any issuer is believed, tokens of any kind are.

    Raises:
        ClaimsRefused: They do not hold now, come from elsewhere, or are of a refresh token.
    """
    until = _expiry(claims, now)
    for name, message in (("nbf", "JWT not yet valid"), ("iat", "JWT issued at future")):
        begin = _seconds(claims, name)
        if begin is not None and begin > now + CLOCK_SKEW_S:
            raise ClaimsRefused(message)
    _check_audience(claims.get("aud"), audience)
    if ANY_ISSUER in issuers:
        return until
    issuer = claims.get("iss") or ""
    if not isinstance(issuer, str) or (issuer and issuer not in issuers):
        raise ClaimsRefused("JWT issuer not accepted")
    if claims.get("token_type", "access") != "access":
        raise ClaimsRefused("JWT is no access token")
    return until


def _check_audience(said: object, audience: str) -> None:
    if said is None:
        return
    listed = said if isinstance(said, list) else [said]
    if not all(isinstance(each, str) for each in listed):
        raise ClaimsRefused("The JWT 'aud' claim must be a string or an array of strings")
    if audience and listed and audience not in listed:
        raise ClaimsRefused("JWT not in audience")


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
