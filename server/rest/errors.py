"""The errors of the REST dialects; a class says what the caller should do.

ServerError
└── RestError                    the client must change the request, except where said
    ├── ParameterMalformed       400  a query parameter does not parse; says where
    ├── ParameterMisplaced       400  a parameter that says nothing about this method
    ├── FeatureMissing           400  valid, but nothing that this release answers
    ├── AggregatesOff            400  the operator does not allow them
    ├── GeometryMissing          400  features of rows without a geometry
    ├── GroupingInvalid          400  a column that is neither grouped nor aggregated
    ├── SchemaUnknown            406  the profile names a schema that is not exposed
    ├── TableUnknown             404
    ├── ColumnUnknown            400  in select, order, filters and conflict targets
    ├── BodyColumnUnknown        400  in the body or in `columns`
    ├── (embed_errors)                relations that a request embeds
    ├── BodyInvalid              400  not JSON of the right form
    ├── FilterMissing            400  a bulk write of every row
    ├── KeyUnusable              400  no single column identifies a row
    ├── RecordNotFound           404
    ├── RecordAmbiguous          400  several tenants have a row of that id
    ├── WriteBlocked             403  row level security kept the row back
    ├── WriteBlockedAnonymous    401  the same, for nobody in particular: log in
    ├── AdministratorsOnly       403
    ├── RootDisabled             404  there is no document at the root
    ├── MediaUnavailable         406  no representation that the client accepts
    ├── NotSingular              406  not exactly one row
    ├── RangeUnsatisfiable       416
    ├── PreferencesInvalid       400  unknown preferences with handling=strict
    ├── PutFiltersInvalid        405
    ├── PutPaged                 400
    └── PutKeyMismatch           400
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from server.errors import ServerError

SHOWN_CHARS: Final = 200
"""How much of a client's own text an error repeats."""

SIMILAR: Final = 0.75
"""How close a name must be to be offered as what was meant."""


class RestError(ServerError):
    """A request under /api/v1/tables or /rest/v1 that is refused by name."""

    status = 400
    code = "INVALID_INPUT"
    postgrest_code = "PGRST100"


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a client's text: which parameter, its text, and the offset in it."""

    parameter: str
    """`filter`, `select parameter`, `order`, `logic tree` …"""
    text: str
    position: int = 0


class ParameterMalformed(RestError):
    """A query parameter does not parse. `expected` says what would have."""

    def __init__(self, spot: Spot, expected: str, *, found: str | None = None) -> None:
        if found is None:
            rest = spot.text[spot.position : spot.position + 1]
            found = f'"{rest}"' if rest else "end of input"
        shown = spot.text[:SHOWN_CHARS]
        failed = f"failed to parse {spot.parameter} ({shown})"
        details = f"unexpected {found} expecting {expected}"
        super().__init__(f"{failed}: {details}", details=details)
        self.postgrest_message = f'"{failed}" (line 1, column {spot.position + 1})'


class ParameterMisplaced(RestError):
    """A parameter that would be ignored: the method has no use for it."""

    def __init__(self, parameter: str, method: str) -> None:
        shown = parameter[:SHOWN_CHARS]
        super().__init__(f"The parameter '{shown}' does not apply to {method} here")


class FeatureMissing(RestError):
    """The request is right, and this release does not answer its kind."""

    code = "FEATURE_NOT_SUPPORTED"
    postgrest_code = "PGRST127"
    postgrest_message = "Feature not implemented"

    def __init__(self, feature: str, *, hint: str | None = None) -> None:
        super().__init__(f"{feature}: not supported", details=feature, hint=hint)


class AggregatesOff(RestError):
    """The operator does not allow aggregates."""

    postgrest_code = "PGRST123"

    def __init__(self) -> None:
        super().__init__("Use of aggregate functions is not allowed")


class GeometryMissing(RestError):
    """Rows are to be GeoJSON features, and none of their columns is a geometry."""

    postgrest_code = "22023"

    def __init__(self) -> None:
        super().__init__("geometry column is missing")


class GroupingInvalid(RestError):
    """Something is shown beside aggregates that rows are not grouped by."""

    def __init__(self, name: str) -> None:
        shown = name[:SHOWN_CHARS]
        super().__init__(
            f"'{shown}' stands beside aggregates, and is not in group_by",
            hint="Name it in group_by, or leave it out of select.",
        )


class SchemaUnknown(RestError):
    """The schema is not exposed."""

    status = 406
    postgrest_code = "PGRST106"

    def __init__(self, schema: str, exposed: Sequence[str]) -> None:
        super().__init__(
            f"Invalid schema: {schema[:SHOWN_CHARS]}",
            hint=f"Only the following schemas are exposed: {', '.join(exposed)}",
        )


class TableUnknown(RestError):
    """No such table in the exposed schemas."""

    status = 404
    code = "NOT_FOUND"
    postgrest_code = "PGRST205"

    def __init__(self, schema: str, relation: str, known: Iterable[str]) -> None:
        """`known`: the relations of that schema, if clients may know them."""
        close = difflib.get_close_matches(relation[:SHOWN_CHARS], list(known), 1, SIMILAR)
        shown = f"{schema}.{relation}"[:SHOWN_CHARS]
        super().__init__(
            f"Table '{shown}' not found",
            hint=f"Perhaps you meant the table '{schema}.{close[0]}'" if close else None,
        )
        self.postgrest_message = f"Could not find the table '{shown}' in the schema cache"


class ColumnUnknown(RestError):
    """A name in select, order, a filter or a conflict target is no column of the table."""

    postgrest_code = "42703"

    def __init__(self, column: str, relation: str) -> None:
        shown = column[:SHOWN_CHARS]
        super().__init__(f"Unknown column: {shown}")
        self.postgrest_message = f"column {relation}.{shown} does not exist"


class BodyColumnUnknown(RestError):
    """A key of the body, or a name in `columns`, is no column of the table."""

    postgrest_code = "PGRST204"

    def __init__(self, column: str, relation: str) -> None:
        shown = column[:SHOWN_CHARS]
        super().__init__(f"Unknown column: {shown}")
        self.postgrest_message = (
            f"Could not find the '{shown}' column of '{relation}' in the schema cache"
        )


class BodyInvalid(RestError):
    """The body is no JSON, or not of the form that the request needs."""

    postgrest_code = "PGRST102"


class FilterMissing(RestError):
    """A bulk update or delete without a filter would touch every row."""

    code = "FILTER_REQUIRED"

    def __init__(self, method: str) -> None:
        super().__init__(
            f"{method} needs at least one filter",
            hint="Name the rows by filters, or one row by its id in the path.",
        )


class KeyUnusable(RestError):
    """No single column besides the tenant's identifies a row of the table."""

    def __init__(self, table: str) -> None:
        super().__init__(
            f"Table '{table}' has no primary key of one column",
            hint="Name the row by filters.",
        )


class RecordNotFound(RestError):
    """No row has the id of the path."""

    status = 404
    code = "NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("Record not found")


class RecordAmbiguous(RestError):
    """Rows of several tenants have the id of the path, and the caller names none."""

    code = "AMBIGUOUS_ID"

    def __init__(self, found: int) -> None:
        super().__init__(
            f"{found} rows have this id", hint="Name the tenant with the X-Tenant-ID header."
        )


class WriteBlocked(RestError):
    """The row that was written did not come back: row level security kept it."""

    status = 403
    code = "RLS_POLICY_VIOLATION"
    postgrest_code = "42501"

    def __init__(self) -> None:
        super().__init__("The row was blocked by a row level security policy")


class WriteBlockedAnonymous(WriteBlocked):
    """The same for a caller who is nobody: logging in may help."""

    status = 401
    code = "AUTHENTICATION_REQUIRED"


class AdministratorsOnly(RestError):
    """Only administrators and the service role may see this."""

    status = 403
    code = "FORBIDDEN"
    postgrest_code = "42501"

    def __init__(self) -> None:
        super().__init__("Only administrators and the service role may list the tables")


class RootDisabled(RestError):
    """The root of the PostgREST dialect serves no document."""

    status = 404
    code = "NOT_FOUND"
    postgrest_code = "PGRST126"

    def __init__(self) -> None:
        super().__init__("Root endpoint metadata is disabled")


class MediaUnavailable(RestError):
    """None of the media types that the client accepts can be made."""

    status = 406
    code = "NOT_ACCEPTABLE"
    postgrest_code = "PGRST107"

    def __init__(self, accepted: Sequence[str]) -> None:
        shown = ", ".join(accepted)[:SHOWN_CHARS]
        super().__init__(f"None of these media types are available: {shown}")


class NotSingular(RestError):
    """One row was asked for, and there is another number of them."""

    status = 406
    code = "NOT_SINGULAR"
    postgrest_code = "PGRST116"

    def __init__(self, rows: int) -> None:
        super().__init__(
            "Cannot coerce the result to a single JSON object",
            details=f"The result contains {rows} rows",
        )


class RangeUnsatisfiable(RestError):
    """The range lies outside the rows, or its ends are the wrong way round."""

    status = 416
    code = "RANGE_NOT_SATISFIABLE"
    postgrest_code = "PGRST103"

    def __init__(self, details: str, *, total: int | None = None) -> None:
        super().__init__(
            "Requested range not satisfiable",
            details=details,
            headers=() if total is None else (("Content-Range", f"*/{total}"),),
        )


class PreferencesInvalid(RestError):
    """Preferences that we do not know were sent with `handling=strict`."""

    postgrest_code = "PGRST122"

    def __init__(self, invalid: Sequence[str]) -> None:
        super().__init__(
            "Invalid preferences given with handling=strict",
            details=f"Invalid preferences: {', '.join(invalid)[:SHOWN_CHARS]}",
        )


class PutFiltersInvalid(RestError):
    """A PUT names its row by anything but the primary key."""

    status = 405
    code = "METHOD_NOT_ALLOWED"
    postgrest_code = "PGRST105"

    def __init__(self) -> None:
        super().__init__(
            "Filters must include all and only primary key columns with 'eq' operators"
        )


class PutPaged(RestError):
    """A PUT has a limit or an offset."""

    postgrest_code = "PGRST114"

    def __init__(self) -> None:
        super().__init__("limit/offset querystring parameters are not allowed for PUT")


class PutKeyMismatch(RestError):
    """A PUT's body is not the row that its URL names."""

    postgrest_code = "PGRST115"

    def __init__(self) -> None:
        super().__init__("Payload values do not match URL in primary key column(s)")
