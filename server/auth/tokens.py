"""Tokens to claims and back: JSON Web Tokens, signed with HS256 and nothing else."""

from collections.abc import Mapping
from typing import Final

import jwt
import orjson

from server.auth.claims import Claims
from server.errors import TokenUndecodable

ALGORITHM: Final = "HS256"
"""Never taken from the token: `none`, and a public key used as a secret, are the old attacks."""

_SIGNATURES: Final = jwt.PyJWS(algorithms=[ALGORITHM])


def verified_claims(token: str, secret: str) -> Claims:
    """The claims of a token that was signed with the secret. Whether they hold is not checked.

    Raises:
        TokenUndecodable: Not a token, another algorithm, another key, or no claims in it.
    """
    parts = token.count(".") + 1
    if not token:
        raise TokenUndecodable("Empty JWT is sent in Authorization header")
    if parts != 3:
        raise TokenUndecodable(f"Expected 3 parts in JWT; got {parts}")
    if not token.isascii():
        raise TokenUndecodable("JWT holds characters that no JWT has")
    try:
        payload = _SIGNATURES.decode(token, secret, algorithms=[ALGORITHM])
    except jwt.InvalidAlgorithmError as error:
        raise TokenUndecodable("Wrong or unsupported encoding algorithm") from error
    except jwt.InvalidSignatureError as error:
        raise TokenUndecodable("No suitable key or wrong key type") from error
    except jwt.InvalidTokenError as error:
        raise TokenUndecodable("JWT cryptographic operation failed") from error
    try:
        claims = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise TokenUndecodable("JWT claims are not JSON") from error
    if not isinstance(claims, dict):
        raise TokenUndecodable("JWT claims are no JSON object")
    return claims


def mint(claims: Mapping[str, object], secret: str) -> str:
    """A token with these claims, signed with the secret."""
    return jwt.encode(dict(claims), secret, algorithm=ALGORITHM)
