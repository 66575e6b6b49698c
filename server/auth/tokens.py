"""Tokens to claims and back: JSON Web Tokens, signed with one of our keys."""

from collections.abc import Mapping
from functools import lru_cache

import orjson

from server.auth.claims import Claims
from server.auth.keys import Keys
from server.errors import ClaimsRefused


def claims_of(token: str, keys: Keys) -> Claims:
    """The claims of a token that one of the keys has signed. Whether they hold is not checked.

    Raises:
        TokenUndecodable: Not a token, another algorithm, or another key.
        ClaimsRefused: What it says is no JSON object.
    """
    try:
        claims = orjson.loads(keys.payload(token))
    except orjson.JSONDecodeError as error:
        raise ClaimsRefused("Parsing claims failed") from error
    if not isinstance(claims, dict):
        raise ClaimsRefused("Parsing claims failed")
    return claims


def verified_claims(token: str, secret: str) -> Claims:
    """The claims of a token that was signed with the secret, see `claims_of`."""
    return claims_of(token, _keys(secret))


def mint(claims: Mapping[str, object], secret: str) -> str:
    """A token with these claims, signed with the secret.

    Raises:
        KeysUnusable: It is no secret.
    """
    return _keys(secret).signed(claims)


@lru_cache(maxsize=16)
def _keys(secret: str) -> Keys:
    return Keys.read(secret)
