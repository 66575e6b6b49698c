"""Which credential of a request counts: the first that is present, and no other."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final, NamedTuple

from server.errors import CredentialUnsupported

_OPAQUE_PREFIXES: Final = ("sk_", "fbk_")


class Carrier(Enum):
    """How a credential came."""

    SERVICE = auto()
    """`X-Service-Key`, or `Authorization: ServiceKey`: must be a service key."""
    BEARER = auto()
    """`Authorization: Bearer`, or `apikey`: any token."""


class Credential(NamedTuple):
    """A token as it came, not looked into."""

    carrier: Carrier
    token: str


def credential(headers: Mapping[str, str]) -> Credential | None:
    """The request's credential, or None.

    In order: `X-Service-Key`, `Authorization: ServiceKey`, `Authorization: Bearer`,
    `X-Client-Key`, `apikey`. An `Authorization` of another scheme is not for us: a proxy may
    have its own. A bad credential is never made good by a later one.

    Raises:
        CredentialUnsupported: The one that counts is a key that is no token.
    """
    token = headers.get("X-Service-Key")
    if token is not None:
        return _accepted(Carrier.SERVICE, token)
    authorization = headers.get("Authorization")
    if authorization is not None:
        if authorization.startswith("Bearer "):
            return _accepted(Carrier.BEARER, authorization[7:])
        scheme, _, token = authorization.partition(" ")
        scheme = scheme.lower()
        if scheme == "bearer":
            return _accepted(Carrier.BEARER, token)
        if scheme == "servicekey":
            return _accepted(Carrier.SERVICE, token)
    if "X-Client-Key" in headers:
        raise CredentialUnsupported("Client keys (X-Client-Key) are not supported; send a token")
    token = headers.get("apikey")
    if token is not None:
        return _accepted(Carrier.BEARER, token)
    return None


def _accepted(carrier: Carrier, token: str) -> Credential:
    token = token.strip(" ")
    if token.startswith(_OPAQUE_PREFIXES):
        raise CredentialUnsupported(
            "Keys that begin with sk_ or fbk_ are not supported; send a token"
        )
    return Credential(carrier, token)
