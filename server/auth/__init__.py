"""Who asks: credentials to one `Principal`; no other feature knows more of auth than that."""

from server.auth.authenticator import Authenticator, keys_of
from server.auth.claims import CLOCK_SKEW_S, Claims, check_claims
from server.auth.credentials import Carrier, Credential, credential
from server.auth.keys import LEAST_BYTES, Keys, KeysUnusable
from server.auth.principal import ANON, ANONYMOUS, AUTHENTICATED, Roles, principal
from server.auth.role_path import RolePath, role_path
from server.auth.tokens import mint, verified_claims

__all__ = [
    "ANON",
    "ANONYMOUS",
    "AUTHENTICATED",
    "CLOCK_SKEW_S",
    "LEAST_BYTES",
    "Authenticator",
    "Carrier",
    "Claims",
    "Credential",
    "Keys",
    "KeysUnusable",
    "RolePath",
    "Roles",
    "check_claims",
    "credential",
    "keys_of",
    "mint",
    "principal",
    "role_path",
    "verified_claims",
]
