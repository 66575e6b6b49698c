"""What the server says no to, and how every error looks to a client."""

from server.errors.failure import Dialect, Failure, failure_reply
from server.errors.table import failure_of, foreseen, row_of
from server.errors.tree import (
    BodyTimeout,
    BodyTooLarge,
    CannotListen,
    ClaimsRefused,
    ConfigurationError,
    CredentialMissing,
    CredentialUnsupported,
    EncodingRefused,
    ExpectationRefused,
    MethodRefused,
    RequestMalformed,
    RouteUnknown,
    ServerError,
    SettingsInvalid,
    TenantContradicted,
    TokenUndecodable,
    Unauthenticated,
)

__all__ = [
    "BodyTimeout",
    "BodyTooLarge",
    "CannotListen",
    "ClaimsRefused",
    "ConfigurationError",
    "CredentialMissing",
    "CredentialUnsupported",
    "Dialect",
    "EncodingRefused",
    "ExpectationRefused",
    "Failure",
    "MethodRefused",
    "RequestMalformed",
    "RouteUnknown",
    "ServerError",
    "SettingsInvalid",
    "TenantContradicted",
    "TokenUndecodable",
    "Unauthenticated",
    "failure_of",
    "failure_reply",
    "foreseen",
    "row_of",
]
