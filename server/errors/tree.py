"""The errors of the server; a class says what the caller should do.

ServerError
├── RequestMalformed         400  not HTTP, or a path that is not UTF-8      the client must change it
├── PositionInvalid          400  Fluxshard-Position is no token of ours     the client must drop it
├── Unauthenticated          401  who asks is not known
│   ├── CredentialMissing         there is no credential
│   ├── CredentialUnsupported     the kind of credential is not accepted yet
│   ├── TokenUndecodable          not a token of ours: form, algorithm, signature
│   ├── RoleUnknown               it names a role that no database can have
│   └── ClaimsRefused             ours, but not now or not here: expired, issuer, tenant
├── SecretMissing            500  there is no key to check a token with     the operator must set one
├── TenantContradicted       403  X-Tenant-ID names another tenant than the token
├── RouteUnknown             404  nothing is served at this path
├── MethodRefused            405  the path does not know the method
├── BodyTimeout              408  the body did not arrive in time
├── BodyTooLarge             413  the body is over the limit of its route
├── EncodingRefused          415  a Content-Encoding that is not read
├── ExpectationRefused       417  an Expect other than 100-continue
├── Overloaded               503  the worker has more requests than CPU         repeat it later
└── ConfigurationError       never reaches a client: the server refuses to start
    ├── SettingsInvalid           settings have problems, all listed
    └── CannotListen              the address is taken, or not ours

A feature that answers in a dialect of its own adds subclasses next to its handlers
(`server/rest/errors.py`); the table translates them by their class attributes.
Codes are public, documented in docs/errors.md and never reused.
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from shardmap import Problem


class ServerError(Exception):
    """Anything that the server itself says no to, with what each dialect calls it."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"
    """The code in bodies of the native API."""
    postgrest_code: ClassVar[str] = "PGRSTX00"
    """The code in bodies under /rest/v1."""
    postgrest_message: str | None = None
    """The message under /rest/v1, where clients know another text."""

    def __init__(
        self,
        message: str,
        *,
        details: object = None,
        hint: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.hint = hint
        self.headers = tuple(headers)


class RequestMalformed(ServerError):
    """The bytes are no HTTP request, or its target is not percent-encoded UTF-8."""

    status = 400
    code = "REQUEST_MALFORMED"
    postgrest_code = "REQUEST_MALFORMED"


class PositionInvalid(ServerError):
    """The header Fluxshard-Position holds no token that this cluster gave out."""

    status = 400
    code = "POSITION_INVALID"
    postgrest_code = "POSITION_INVALID"

    def __init__(self) -> None:
        super().__init__(
            "Fluxshard-Position is not a token of this cluster",
            hint="Send back the newest that a response gave you, unchanged, or none.",
        )


class Unauthenticated(ServerError):
    """The caller is not known. The SDK answers a 401 by refreshing its token once."""

    status = 401
    code = "AUTHENTICATION_REQUIRED"
    postgrest_code = "PGRST301"

    def __init__(self, message: str, *, details: object = None, hint: str | None = None) -> None:
        description = message.replace('"', "'")
        challenge = f'Bearer error="invalid_token", error_description="{description}"'
        super().__init__(
            message, details=details, hint=hint, headers=(("WWW-Authenticate", challenge),)
        )


class CredentialMissing(Unauthenticated):
    """No credential came with the request, and the route is not open to everybody."""

    postgrest_code = "PGRST302"
    postgrest_message = "Anonymous access is disabled"

    def __init__(self) -> None:
        super().__init__(
            "Authentication required",
            hint="Send a token as Authorization: Bearer, or a key as apikey.",
        )
        self.headers = (("WWW-Authenticate", "Bearer"),)


class CredentialUnsupported(Unauthenticated):
    """A credential of a kind that this release does not accept (`sk_…`, `fbk_…`)."""


class TokenUndecodable(Unauthenticated):
    """The text is not a token that was signed with our secret."""


class ClaimsRefused(Unauthenticated):
    """The token is ours, and its claims do not hold: expired, not yet valid, issuer, tenant."""

    postgrest_code = "PGRST303"


class RoleUnknown(Unauthenticated):
    """The token names a role that there cannot be; PostgreSQL says the same of one that is not there."""

    postgrest_code = "22023"


class SecretMissing(ServerError):
    """A token came, and the settings name no key that it could be checked with."""

    status = 500
    code = "JWT_SECRET_MISSING"
    postgrest_code = "PGRST300"

    def __init__(self) -> None:
        super().__init__("Server lacks JWT secret")


class TenantContradicted(ServerError):
    """X-Tenant-ID names another tenant than the token does, and only a service key may choose."""

    status = 403
    code = "TENANT_CONTRADICTED"
    postgrest_code = "TENANT_CONTRADICTED"

    def __init__(self) -> None:
        super().__init__(
            "X-Tenant-ID names another tenant than the token",
            hint="Only a service key may choose its tenant by header.",
        )


class RouteUnknown(ServerError):
    """Nothing is served at the path."""

    status = 404
    code = "NOT_FOUND"
    postgrest_code = "PGRST125"
    postgrest_message = "Invalid path specified in request URL"

    def __init__(self) -> None:
        super().__init__("Not found")


class MethodRefused(ServerError):
    """The path is served, but not by this method; `Allow` says by which."""

    status = 405
    code = "METHOD_NOT_ALLOWED"
    postgrest_code = "PGRST117"

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(
            f"Method {method} is not allowed", headers=(("Allow", ", ".join(allowed)),)
        )
        self.postgrest_message = f"Unsupported HTTP method: {method}"
        self.method = method
        self.allowed = tuple(allowed)


class BodyTimeout(ServerError):
    """The body did not arrive within the request's time."""

    status = 408
    code = "REQUEST_TIMEOUT"
    postgrest_code = "REQUEST_TIMEOUT"

    def __init__(self) -> None:
        super().__init__("The request body did not arrive in time")


class BodyTooLarge(ServerError):
    """The body, after decompression, is larger than its route takes."""

    status = 413
    code = "BODY_TOO_LARGE"
    postgrest_code = "BODY_TOO_LARGE"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The request body is larger than {limit_bytes} bytes")
        self.limit_bytes = limit_bytes


class EncodingRefused(ServerError):
    """The body has a Content-Encoding that is not read."""

    status = 415
    code = "ENCODING_UNSUPPORTED"
    postgrest_code = "ENCODING_UNSUPPORTED"

    def __init__(self, encoding: str) -> None:
        super().__init__(
            f"Content-Encoding {encoding[:40]} is not supported",
            hint="Send the body plain, or as gzip or deflate.",
        )


class ExpectationRefused(ServerError):
    """The request expects something other than 100-continue."""

    status = 417
    code = "EXPECTATION_FAILED"
    postgrest_code = "EXPECTATION_FAILED"

    def __init__(self) -> None:
        super().__init__("Only the expectation 100-continue can be met")


class Overloaded(ServerError):
    """This worker has more requests than it can serve in time. Nothing was done for this one."""

    status = 503
    code = "OVERLOADED"
    postgrest_code = "OVERLOADED"

    def __init__(self) -> None:
        super().__init__(
            "The server has more requests than it can serve",
            hint="Repeat it later; many requests of one tenant wait for each other.",
            headers=(("Retry-After", "1"),),
        )


class ConfigurationError(Exception):
    """The server cannot start with these settings; the operator must change them."""

    code = "CONFIGURATION"


class SettingsInvalid(ConfigurationError):
    """Settings have problems; every one is listed with its key."""

    code = "SETTINGS_INVALID"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class CannotListen(ConfigurationError):
    """The address to listen on is taken, or not ours."""

    code = "CANNOT_LISTEN"
