"""Every error code of the PostgREST dialect, provoked over HTTP: status, code, message, details, hint."""

from dataclasses import dataclass, field

import pytest

from server.auth import mint

SECRET = "a secret that only tests use, honest"


@dataclass(frozen=True)
class Case:
    """A request, and the whole answer that it must get."""

    code: str
    status: int
    method: str
    url: str
    message: str
    details: object = None
    hint: object = None
    body: object = None
    headers: dict = field(default_factory=dict)
    who: dict = field(default_factory=dict)
    """Who asks, and at which front; by default a tenant."""
    answer: dict = field(default_factory=dict)
    """Headers that the answer must have."""

    def __str__(self):
        more = "".join(f" {name}: {value}" for name, value in self.headers.items())
        return f"{self.code} {self.method} {self.url}{more}"


STRICT = {"Prefer": "handling=strict"}
OBJECT = {"Accept": "application/vnd.pgrst.object+json"}

PARSING = [
    Case(
        "PGRST100",
        400,
        "GET",
        "/orders?id=foo.1",
        message='"failed to parse filter (foo.1)" (line 1, column 1)',
        details='unexpected "foo" expecting operator (eq, gt, gte, lt, lte, sl, sr, nxr, nxl, adj, neq,'
        " isdistinct, cs, cd, ov, like, ilike, match, imatch, in, fts, plfts, phfts, wfts, is)",
    ),
    Case(
        "PGRST100",
        400,
        "GET",
        "/orders?order=id.upward",
        message='"failed to parse order (id.upward)" (line 1, column 1)',
        details='unexpected "i" expecting a column, asc or desc, nullsfirst or nullslast',
    ),
    Case(
        "PGRST100",
        400,
        "GET",
        "/orders?select=id,note(",
        message='"failed to parse select parameter (id,note()" (line 1, column 9)',
        details="unexpected end of input expecting a field name (*, a column, a path, or a relation"
        " with columns)",
    ),
    Case(
        "PGRST100",
        400,
        "GET",
        "/orders?or=(id.eq.1,",
        message='"failed to parse logic tree ((id.eq.1,)" (line 1, column 10)',
        details="unexpected end of input expecting a field and an operator",
    ),
    Case(
        "42703",
        400,
        "GET",
        "/orders?nothing=eq.1",
        message="column orders.nothing does not exist",
    ),
    Case(
        "22P02",
        400,
        "GET",
        "/orders?id=eq.one",
        message='invalid input syntax for type integer: "one"',
    ),
    Case("PGRST101", 405, "PUT", "/rpc/add", message="Cannot use the PUT method on RPC"),
    Case("PGRST101", 405, "DELETE", "/rpc/add", message="Cannot use the DELETE method on RPC"),
    Case("PGRST101", 405, "PATCH", "/rpc/add", message="Cannot use the PATCH method on RPC"),
    Case("PGRST117", 405, "TRACE", "/orders", message="Unsupported HTTP method: TRACE"),
    Case("PGRST125", 404, "GET", "/orders/1", message="Invalid path specified in request URL"),
    Case(
        "PGRST126",
        404,
        "GET",
        "/",
        message="Root endpoint metadata is disabled",
        who={"front": "disabled"},
    ),
    Case(
        "PGRST106",
        406,
        "GET",
        "/orders",
        headers={"Accept-Profile": "other"},
        message="Invalid schema: other",
        hint="Only the following schemas are exposed: public",
    ),
    Case(
        "PGRST106",
        406,
        "POST",
        "/orders",
        headers={"Content-Profile": "other"},
        body={"id": 9},
        message="Invalid schema: other",
        hint="Only the following schemas are exposed: public",
    ),
    Case(
        "PGRST107",
        406,
        "GET",
        "/orders",
        headers={"Accept": "image/png"},
        message="None of these media types are available: image/png",
    ),
    Case(
        "PGRST205",
        404,
        "GET",
        "/ordes",
        message="Could not find the table 'public.ordes' in the schema cache",
        hint="Perhaps you meant the table 'public.orders'",
    ),
    Case(
        "PGRST205",
        404,
        "GET",
        "/xylophones",
        message="Could not find the table 'public.xylophones' in the schema cache",
    ),
]

BODIES = [
    Case(
        "PGRST102",
        400,
        "POST",
        "/orders",
        body="not json",
        message="Empty or invalid json",
    ),
    Case(
        "PGRST102",
        400,
        "POST",
        "/orders",
        body=[{"id": 8}, {"note": "x"}],
        message="All object keys must match",
    ),
    Case(
        "PGRST102",
        400,
        "POST",
        "/orders",
        body="x",
        headers={"Content-Type": "text/html"},
        message="Content-Type not acceptable: text/html",
    ),
    Case(
        "PGRST102",
        400,
        "POST",
        "/orders",
        body="id,note\n7\n",
        headers={"Content-Type": "text/csv"},
        message="All lines must have same number of fields",
    ),
    Case(
        "PGRST204",
        400,
        "POST",
        "/orders",
        body={"nothing": 1},
        message="Could not find the 'nothing' column of 'orders' in the schema cache",
    ),
    Case(
        "PGRST204",
        400,
        "POST",
        "/orders?columns=id,nothing",
        body={"id": 1},
        message="Could not find the 'nothing' column of 'orders' in the schema cache",
    ),
    Case(
        "PGRST122",
        400,
        "PATCH",
        "/orders?id=eq.1",
        body={"note": "x"},
        headers={"Prefer": "handling=strict, anything=goes, x=y"},
        message="Invalid preferences given with handling=strict",
        details="Invalid preferences: anything=goes, x=y",
    ),
    Case(
        "22023",
        400,
        "GET",
        "/orders",
        headers={"Prefer": "timezone=Nowhere"},
        message='invalid value for parameter "TimeZone": "Nowhere"',
    ),
    Case(
        "PGRST124",
        400,
        "PATCH",
        "/orders?id=gt.0",
        body={"data": 1},
        headers={"Prefer": "handling=strict, max-affected=1"},
        message="Query result exceeds max-affected preference constraint",
        details="The query affects 3 rows",
    ),
    Case(
        "PGRST124",
        400,
        "DELETE",
        "/orders?id=gt.0",
        headers={"Prefer": "handling=strict, max-affected=2"},
        message="Query result exceeds max-affected preference constraint",
        details="The query affects 3 rows",
    ),
    Case(
        "PGRST128",
        400,
        "POST",
        "/rpc/add",
        body={"a": 1},
        headers={"Prefer": "handling=strict, max-affected=2"},
        message="Function must return SETOF or TABLE when max-affected preference is used"
        " with handling=strict",
    ),
    Case(
        "PGRST121",
        500,
        "POST",
        "/rpc/fail",
        body={"state": "PGRST", "message": "not json"},
        message="Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error",
        details="Invalid JSON value for MESSAGE: 'not json'",
        hint="MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys:"
        " 'details', 'hint'.",
    ),
    Case(
        "PGRST111",
        500,
        "POST",
        "/rpc/wish",
        body={"headers": "no json"},
        message="response.headers guc must be a JSON array composed of objects with a single key and a string value",
    ),
    Case(
        "PGRST112",
        500,
        "POST",
        "/rpc/wish",
        body={"status": "many"},
        message="response.status guc must be a valid status code",
    ),
]

RANGES = [
    Case(
        "PGRST103",
        416,
        "GET",
        "/orders?limit=-1",
        message="Requested range not satisfiable",
        details="Limit should be greater than or equal to zero.",
    ),
    Case(
        "PGRST103",
        416,
        "GET",
        "/orders",
        headers={"Range": "9-5"},
        message="Requested range not satisfiable",
        details="The lower boundary must be lower than or equal to the upper boundary"
        " in the Range header.",
    ),
    Case(
        "PGRST103",
        416,
        "GET",
        "/orders?offset=100",
        headers={"Prefer": "count=exact"},
        message="Requested range not satisfiable",
        details="An offset of 100 was requested, but there are only 3 rows.",
        answer={"Content-Range": "*/3"},
    ),
    Case(
        "PGRST116",
        406,
        "GET",
        "/orders",
        headers=OBJECT,
        message="Cannot coerce the result to a single JSON object",
        details="The result contains 3 rows",
    ),
    Case(
        "PGRST116",
        406,
        "GET",
        "/orders?id=eq.0",
        headers=OBJECT,
        message="Cannot coerce the result to a single JSON object",
        details="The result contains 0 rows",
    ),
    Case(
        "PGRST116",
        406,
        "PATCH",
        "/orders?id=gt.0",
        body={"data": 1},
        headers=OBJECT | {"Prefer": "return=representation"},
        message="Cannot coerce the result to a single JSON object",
        details="The result contains 3 rows",
    ),
]

PUTS = [
    Case(
        "PGRST105",
        405,
        "PUT",
        "/customers?name=eq.x",
        body={"id": 1, "name": "x", "country": "at"},
        message="Filters must include all and only primary key columns with 'eq' operators",
    ),
    Case(
        "PGRST114",
        400,
        "PUT",
        "/customers?id=eq.1&limit=1",
        body={"id": 1, "name": "x", "country": "at"},
        message="limit/offset querystring parameters are not allowed for PUT",
    ),
    Case(
        "PGRST115",
        400,
        "PUT",
        "/customers?id=eq.1",
        body={"id": 2, "name": "x", "country": "at"},
        message="Payload values do not match URL in primary key column(s)",
    ),
]

EMBEDS = [
    Case(
        "PGRST108",
        400,
        "GET",
        "/orders?customers.name=eq.x",
        message="'customers' is not an embedded resource in this request",
        hint="Verify that 'customers' is included in the 'select' query parameter.",
    ),
    Case(
        "PGRST118",
        400,
        "GET",
        "/customers?select=id,orders!orders_customer(id)&order=orders(id)",
        message="A related order on 'orders' is not possible",
        details="'customers' and 'orders' do not form a many-to-one or one-to-one relationship",
    ),
    Case(
        "PGRST120",
        400,
        "GET",
        "/orders?select=id,customers!orders_customer(id)&customers=eq.1",
        message="Bad operator on the 'customers' embedded resource",
        details="Only is null or not is null filters are allowed on embedded resources",
    ),
    Case(
        "PGRST123",
        400,
        "GET",
        "/orders?select=total.sum()",
        message="Use of aggregate functions is not allowed",
    ),
    Case(
        "PGRST200",
        400,
        "GET",
        "/orders?select=id,plans(name)",
        message="Could not find a relationship between 'orders' and 'plans' in the schema cache",
        details="Searched for a foreign key relationship between 'orders' and 'plans' in the schema"
        " 'public', but no matches were found.",
    ),
    Case(
        "PGRST200",
        400,
        "GET",
        "/orders?select=id,customer(name)",
        message="Could not find a relationship between 'orders' and 'customer' in the schema cache",
        details="Searched for a foreign key relationship between 'orders' and 'customer' in the"
        " schema 'public', but no matches were found.",
        hint="Perhaps you meant 'customers' instead of 'customer'.",
    ),
    Case(
        "PGRST201",
        300,
        "GET",
        "/orders?select=id,customers(name)",
        message="Could not embed because more than one relationship was found for 'orders' and"
        " 'customers'",
        details=[
            {
                "cardinality": "many-to-one",
                "embedding": "orders with customers",
                "relationship": f"{key} using orders(tenant_id, {column}) and"
                " customers(tenant_id, id)",
            }
            for key, column in (("orders_customer", "customer_id"), ("orders_payer", "payer_id"))
        ],
        hint="Try changing 'customers' to one of the following: 'customers!orders_customer',"
        " 'customers!orders_payer'. Find the desired relationship in the 'details' key.",
    ),
]

CALLS = [
    Case(
        "PGRST202",
        404,
        "POST",
        "/rpc/ad",
        body={"a": 1},
        message="Could not find the function public.ad(a) in the schema cache",
        details="Searched for the function public.ad with parameter a or with a single unnamed"
        " json/jsonb parameter, but no matches were found in the schema cache.",
        hint="Perhaps you meant to call the function public.add(a, b)",
    ),
    Case(
        "PGRST202",
        404,
        "GET",
        "/rpc/xylophone",
        message="Could not find the function public.xylophone without parameters in the schema"
        " cache",
        details="Searched for the function public.xylophone without parameters, but no matches"
        " were found in the schema cache.",
    ),
    Case(
        "PGRST203",
        300,
        "POST",
        "/rpc/twin",
        body={"x": "1"},
        message="Could not choose the best candidate function between: public.twin(x => integer),"
        " public.twin(x => text)",
        hint="Try renaming the parameters or the function itself in the database so function"
        " overloading can be resolved",
    ),
    Case(
        "25006",
        405,
        "GET",
        "/rpc/mark?id=1",
        message="The function mark may write: call it with POST",
        hint="Declare it STABLE or IMMUTABLE if it does not.",
    ),
]

CREDENTIALS = [
    Case(
        "PGRST301",
        401,
        "GET",
        "/orders",
        who={"token": "a.b"},
        message="Expected 3 parts in JWT; got 2",
        answer={
            "WWW-Authenticate": 'Bearer error="invalid_token", error_description="Expected 3 parts'
            ' in JWT; got 2"'
        },
    ),
    Case(
        "PGRST302",
        401,
        "GET",
        "/orders",
        who={"token": ""},
        message="Anonymous access is disabled",
        hint="Send a token as Authorization: Bearer, or a key as apikey.",
        answer={"WWW-Authenticate": "Bearer"},
    ),
    Case(
        "42501",
        401,
        "GET",
        "/codes",
        who={"token": "", "front": "anonymous"},
        message="permission denied for table codes",
    ),
    Case(
        "42501",
        403,
        "POST",
        "/secrets",
        body={"id": 77, "word": "hidden"},
        message='new row violates row-level security policy for table "secrets"',
    ),
    *(
        Case(
            code,
            401,
            "GET",
            "/orders",
            who={"token": mint({"role": "authenticated", "tenant_id": 1, **claims}, SECRET)},
            message=message,
            answer={
                "WWW-Authenticate": f'Bearer error="invalid_token", error_description="{message}"'
            },
        )
        for code, claims, message in (
            ("PGRST303", {"exp": 1}, "JWT expired"),
            ("PGRST303", {"nbf": 99_999_999_999}, "JWT not yet valid"),
            ("PGRST303", {"iat": 99_999_999_999}, "JWT issued at future"),
        )
    ),
    Case(
        "PGRST301",
        401,
        "GET",
        "/orders",
        who={"token": mint({"role": "authenticated"}, "another secret of thirty-two bytes")},
        message="No suitable key or wrong key type",
        details="None of the keys was able to decode the JWT",
    ),
]

ACROSS = [
    Case(
        "PGRST127",
        400,
        "POST",
        "/rpc/mark",
        body={"id": 1},
        who={"tenant": None},
        message="Feature not implemented",
        details="A call without a tenant of a function that is not immutable",
        hint="Send X-Tenant-ID, or name the tenant by an argument tenant_id.",
    ),
    Case(
        "P150",
        403,
        "GET",
        "/orders",
        who={"tenant": None, "role": "authenticated"},
        message="table public.orders needs a tenant",
        hint="Use a token that carries the tenant claim.",
    ),
]

CASES = PARSING + BODIES + RANGES + PUTS + EMBEDS + CALLS + CREDENTIALS + ACROSS


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_code_comes_with_its_status_and_texts(site, case):
    who = {"tenant": site.A} | case.who
    headers = {name.replace("-", "_"): value for name, value in case.headers.items()}

    response = site.ask(case.method, f"/rest/v1{case.url}", case.body, **who, **headers)

    assert response.json() == {
        "code": case.code,
        "message": case.message,
        "details": case.details,
        "hint": case.hint,
    }
    assert response.status_code == case.status
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert response.headers["Proxy-Status"] == f"fluxshard; error={case.code}"
    assert {name: response.headers[name] for name in case.answer} == case.answer


STATUSES = {
    503: ("53000", "53300"),
    500: (
        "09000", "21000", "25000", "25001", "2D000", "38000", "39000", "3B000", "40001", "40P01",
        "42P17", "53400", "54000", "55000", "57014", "58000", "F0000", "HV000", "P0002", "XX000",
    ),
    403: ("0L000", "0P000", "28000", "42501"),
    409: ("23503", "23505"),
    404: ("42883", "42P01"),
    400: ("22023", "22P02", "23502", "23514", "42703", "P0001", "0A000", "99999"),
    418: ("PT418",),
}  # fmt: skip


@pytest.mark.parametrize(
    ("status", "state"),
    [(status, state) for status, states in STATUSES.items() for state in states],
)
def test_a_state_of_postgresql_has_its_status_and_its_own_texts(site, status, state):
    response = site.ask("POST", "/rest/v1/rpc/fail", {"state": state}, tenant=site.B)

    assert response.json() == {
        "code": state,
        "message": "failed",
        "details": "why",
        "hint": "how",
    }
    assert response.status_code == status
    assert ("Retry-After" in response.headers) == (status == 503)


@pytest.mark.parametrize("state", ["08000", "08006", "57P01"])
def test_a_state_that_says_the_server_is_going_may_be_repeated(site, state):
    response = site.ask("POST", "/rest/v1/rpc/fail", {"state": state}, tenant=site.B)

    assert response.status_code == 503
    assert response.json()["code"] == "P203"
    assert response.headers["Retry-After"]


@pytest.mark.parametrize(
    ("state", "message", "status"),
    [
        ("21000", "UPDATE requires a WHERE clause", 400),
        ("22023", 'role "nobody" does not exist', 401),
        ("42883", "function xmlagg(text) does not exist", 406),
    ],
)
def test_some_states_have_other_statuses_with_certain_messages(site, state, message, status):
    body = {"state": state, "message": message}

    response = site.ask("POST", "/rest/v1/rpc/fail", body, tenant=site.A)

    assert (response.status_code, response.json()["message"]) == (status, message)


def test_a_call_of_the_service_goes_by_an_argument_that_names_the_tenant(site):
    for tenant in (site.A, site.B):
        found = site.ask("POST", "/rest/v1/rpc/orders_of", {"tenant_id": tenant})

        assert [row["tenant_id"] for row in found.json()] == [tenant] * 3
