"""Who asks: credentials to one `Principal`; no other feature knows more of auth than that."""

from server.auth.authenticator import Authenticator
from server.auth.claims import CLOCK_SKEW_S, Claims, check_claims
from server.auth.credentials import Carrier, Credential, credential
from server.auth.principal import ANON, ANONYMOUS, AUTHENTICATED, principal
from server.auth.tokens import mint, verified_claims

__all__ = [
    "ANON",
    "ANONYMOUS",
    "AUTHENTICATED",
    "CLOCK_SKEW_S",
    "Authenticator",
    "Carrier",
    "Claims",
    "Credential",
    "check_claims",
    "credential",
    "mint",
    "principal",
    "verified_claims",
]
