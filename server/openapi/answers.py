"""What all operations share: credentials, parameters, and what answers say when they fail."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from router import RouterError
from server.errors import ServerError
from server.openapi.schemas import ref

Json = dict[str, Any]

SECURITY_SCHEMES: Final[Json] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The token of a user, or a key that is a JWT. Its claims say who asks, in which role, and "
        "of which tenant.",
    },
    "apikey": {
        "type": "apiKey",
        "in": "header",
        "name": "apikey",
        "description": "A key that is a JWT; `Authorization` wins over it.",
    },
    "serviceKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Service-Key",
        "description": "The key of a service; wins over all others.",
    },
}
SECURITY: Final[list[Json]] = [{"token": []}, {"apikey": []}, {"serviceKey": []}]


def _header(name: str, description: str, **schema: object) -> Json:
    return {
        "name": name,
        "in": "header",
        "description": description,
        "schema": {"type": "string", **schema},
    }


PARAMETERS: Final[Json] = {
    "tenant": _header(
        "X-Tenant-ID",
        "The tenant that a service key acts for. Others have the tenant of their token: 403 "
        "`TENANT_CONTRADICTED` if this names another one.",
    ),
    "position": _header(
        "Fluxshard-Position",
        "The newest token of this name that a response gave: reads are not older than what it stands for.",
    ),
    "requestId": _header("X-Request-ID", "A name for this request, which the response repeats."),
    "idempotency": _header(
        "Idempotency-Key",
        "Makes a write safe to repeat: it is done once, and answered the same each time.",
        maxLength=256,
    ),
    "prefer": _header(
        "Prefer",
        "Preferences as in RFC 7240: `return=representation|minimal|headers-only`, "
        "`resolution=merge-duplicates|ignore-duplicates`, `missing=default`, "
        "`count=exact|planned|estimated`, `handling=strict`, `max-affected=…`, `consistency=…`",
    ),
    "range": _header("Range", "The rows wanted, counted from 0: `0-9`."),
    "acceptProfile": _header("Accept-Profile", "The schema; without it, the first exposed one."),
    "contentProfile": _header("Content-Profile", "The schema; without it, the first exposed one."),
}

ASKING: Final = ("tenant", "position", "requestId")
WRITING: Final = (*ASKING, "idempotency")

_STATUSES: Final = {
    "BadRequest": (400, "The request is wrong, or not possible as it is: change it."),
    "Unauthenticated": (401, "Who asks is not known: get a token, or a fresh one."),
    "Forbidden": (
        403,
        "Known, and not allowed: another tenant's rows, no tenant, or a missing right.",
    ),
    "NotFound": (404, "There is no such thing."),
    "MethodNotAllowed": (405, "The path does not know the method; `Allow` says which it knows."),
    "NotAcceptable": (406, "No representation that the client accepts, or not exactly one row."),
    "BodyTimeout": (408, "The body did not arrive in time: send it again."),
    "Conflict": (409, "A unique or foreign key forbids it, or the same write is still running."),
    "BodyTooLarge": (413, "The body is over the limit of its route."),
    "EncodingRefused": (415, "The body has an encoding that is not read."),
    "RangeUnsatisfiable": (416, "The range lies outside the rows."),
    "KeyReused": (422, "The Idempotency-Key belongs to another request."),
    "HeadersTooLarge": (431, "The request line or a header is too long."),
    "Failed": (
        500,
        "A mistake in program or database, or `COMMIT_UNKNOWN`: look before repeating.",
    ),
    "Unavailable": (503, "Nothing was changed, and it passes by itself: repeat it, also a write."),
    "OutOfTime": (504, "The request's time ran out; a write was rolled back."),
}
NATIVE_ERROR: Final = "Error"
POSTGREST_ERROR: Final = "PostgrestError"


def responses(*, postgrest: bool = False) -> Json:
    """The answers to requests that fail, of every operation of a dialect."""
    suffix = "OfPostgrest" if postgrest else ""
    return {
        str(status): ref("responses", f"{name}{suffix}") for name, (status, _) in _STATUSES.items()
    }


def response_components() -> Iterator[tuple[str, Json]]:
    """The same, described once for each dialect."""
    for name, (status, description) in _STATUSES.items():
        for suffix, error in (("", NATIVE_ERROR), ("OfPostgrest", POSTGREST_ERROR)):
            found: Json = {
                "description": description,
                "content": {"application/json": {"schema": ref("schemas", error)}},
            }
            if status == 503:
                seconds = {"schema": {"type": "integer"}, "description": "Seconds to wait."}
                found["headers"] = {"Retry-After": seconds}
            yield f"{name}{suffix}", found


def error_schemas() -> Json:
    """The bodies of errors in both dialects."""
    codes = "\n".join(f"| `{code}` | {meaning} |" for code, meaning in _codes())
    return {
        NATIVE_ERROR: {
            "type": "object",
            "description": f"Why a request failed.\n\n| code | meaning |\n|---|---|\n{codes}",
            "required": ["error"],
            "properties": {
                "error": {"type": "string", "description": "What failed, for people."},
                "code": {"type": "string", "description": "What failed, for programs."},
                "message": {"type": "string"},
                "hint": {"type": "string", "description": "What may help."},
                "details": {},
                "request_id": {"type": "string"},
            },
        },
        POSTGREST_ERROR: {
            "type": "object",
            "description": "Why a request failed: a code of PostgREST, an SQLSTATE, or one of ours.",
            "required": ["code", "message", "details", "hint"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "details": {},
                "hint": {"type": ["string", "null"]},
            },
        },
    }


def _codes() -> Sequence[tuple[str, str]]:
    """Each code with what its class says of itself."""
    found: dict[str, str] = {}
    for kind in (*_descendants(RouterError), *_descendants(ServerError)):
        if "code" in vars(kind) and kind.__doc__:
            found.setdefault(kind.code, kind.__doc__.splitlines()[0].strip())
    return sorted(found.items())


def _descendants(
    kind: type[RouterError] | type[ServerError],
) -> Iterator[type[RouterError] | type[ServerError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _descendants(child)


def asked_with(names: Sequence[str]) -> list[Json]:
    """References to shared parameters."""
    return [ref("parameters", name) for name in names]


def json_body(schema: Json, description: str = "", *, required: bool = True) -> Json:
    """A body of JSON."""
    return {
        "description": description or "JSON",
        "required": required,
        "content": {"application/json": {"schema": schema}},
    }


def json_answer(schema: Json, description: str) -> Json:
    """An answer of JSON."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}
