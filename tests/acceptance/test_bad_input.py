"""Bad input gets a documented status and body; no query string makes a 500."""

import asyncio
import os
import random
import string
import time
from urllib.parse import quote

import httpx
import pytest

from server.auth import mint

NATIVE = "/api/v1/tables"
REST = "/rest/v1"
FUZZ_S = float(os.environ.get("FLUXSHARD_FUZZ_SECONDS", "8"))


@pytest.fixture
def bearer(key, tenants):
    return {"Authorization": f"Bearer {key(tenants[0])}"}


def is_documented(reply, mount):
    """Whether an error's body has the shape of its dialect."""
    body = reply.json()
    if mount == REST:
        return set(body) == {"code", "message", "details", "hint"} and body["message"]
    return isinstance(body.get("error"), str) and body["error"]


CASES = [
    ("GET", "nothing", 404, "PGRST205"),
    ("GET", "orders?nothing=eq.1", 400, "42703"),
    ("GET", "orders?select=nothing", 400, "42703"),
    ("GET", "orders?order=nothing", 400, "42703"),
    ("GET", "orders?id=frob.1", 400, "PGRST100"),
    ("GET", "orders?id=1", 400, "PGRST100"),
    ("GET", "orders?id=eq.seven", 400, "22P02"),
    ("GET", "orders?placed_at=gt.yesterdayish", 400, None),
    ("GET", "orders?status=eq.frobbed", 400, "22P02"),
    ("GET", "orders?id=in.(1,2", 400, "PGRST100"),
    ("GET", "orders?or=(id.eq.1", 400, "PGRST100"),
    ("GET", "orders?or=", 400, "PGRST100"),
    ("GET", "orders?limit=-1", 416, "PGRST103"),
    ("GET", "orders?limit=x", 400, None),
    ("GET", "orders?offset=-1", None, None),
    ("GET", "orders?note=is.maybe", 400, "PGRST100"),
    ("GET", "orders?id=eq.99999999999999999999", 400, "22003"),
    ("GET", "orders?select=nobody(name)", 400, "PGRST200"),
    ("GET", "orders?select=customers(nothing)", 400, "42703"),
    ("GET", "orders?select=customers(name", 400, "PGRST100"),
    ("GET", "orders?select=id&customers.name=eq.x", 400, "PGRST108"),
    ("GET", "orders?select=customers(name)&customers=eq.1", 400, "PGRST120"),
    ("GET", "orders?select=order_items(id)&order=order_items(id)", 400, "PGRST118"),
    ("GET", "orders?select=order_items(id)&order_items.limit=-1", 416, "PGRST103"),
    ("GET", "orders?select=total.sum()", 400, None),
    ("PUT", "orders", 405, None),
    ("TRACE", "orders", 405, None),
    ("GET", "orders/1/2", 404, "PGRST125"),
]


@pytest.mark.parametrize(("method", "path", "status", "code"), CASES)
async def test_a_bad_request_is_named(api, bearer, method, path, status, code):
    reply = await api.request(method, f"{REST}/{path}", headers=bearer)

    assert 400 <= reply.status_code < 500, reply.text
    assert status is None or reply.status_code == status, reply.text
    assert is_documented(reply, REST)
    assert code is None or reply.json()["code"] == code


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nothing", 404),
        ("GET", "orders?nothing=eq.1", 400),
        ("GET", "orders?id=frob.1", 400),
        ("GET", "orders?id=1", 400),
        ("GET", "orders?id=eq.seven", 400),
        ("GET", "orders?order=id", 400),
        ("GET", "orders?limit=-1", 400),
        ("GET", "bad-name!", 400),
        ("GET", "public/orders/999999999", 404),
        ("GET", "public/orders/seven", 400),
        ("PATCH", "orders", 400),
        ("DELETE", "orders", 400),
        ("DELETE", "public", None),
    ],
)
async def test_a_bad_native_request_is_named(api, bearer, method, path, status):
    body = {"json": {"note": "x"}} if method == "PATCH" else {}

    reply = await api.request(method, f"{NATIVE}/{path}", headers=bearer, **body)

    assert 400 <= reply.status_code < 500, reply.text
    assert status is None or reply.status_code == status, reply.text
    assert is_documented(reply, NATIVE)
    assert reply.json()["request_id"] == reply.headers["X-Request-ID"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1]",
        b'"text"',
        b"null",
        b'{"note": NaN}',
        b'{"nothing": 1}',
        b"\xff\xfe",
        b'{"total": "many"}',
        b'{"a":' * 80 + b"1" + b"}" * 80,
        b'[{"note":"x"},{"total":1}]',
        b'{"note": "\\u0000"}',
    ],
)
@pytest.mark.parametrize("mount", [REST, NATIVE])
async def test_a_bad_body_is_named(api, bearer, mount, body):
    reply = await api.post(
        f"{mount}/orders", headers={**bearer, "Content-Type": "application/json"}, content=body
    )

    assert 400 <= reply.status_code < 500, reply.text
    assert is_documented(reply, mount)


@pytest.mark.parametrize("mount", [REST, NATIVE])
async def test_an_oversized_body_is_413(api, bearer, mount):
    row = '{"note": "' + "x" * (11 * 1024 * 1024) + '"}'

    reply = await api.post(
        f"{mount}/orders", headers={**bearer, "Content-Type": "application/json"}, content=row
    )

    assert reply.status_code == 413
    assert is_documented(reply, mount)


NOW = int(time.time())
TOKENS = {
    "expired": {"exp": NOW - 3600},
    "not yet valid": {"nbf": NOW + 3600, "exp": NOW + 7200},
    "issued in the future": {"iat": NOW + 3600, "exp": NOW + 7200},
    "of another issuer": {"iss": "somebody", "exp": NOW + 60},
    "with a tenant that is no key": {"tenant_id": "seven", "exp": NOW + 60},
    "with a tenant that is a list": {"tenant_id": [1], "exp": NOW + 60},
}


@pytest.mark.parametrize("claims", TOKENS.values(), ids=TOKENS)
@pytest.mark.parametrize("mount", [REST, NATIVE])
async def test_a_token_whose_claims_do_not_hold_is_refused(api, stage, mount, claims):
    token = mint({"role": "authenticated", "tenant_id": 1, **claims}, stage.secret)

    reply = await api.get(f"{mount}/orders", headers={"Authorization": f"Bearer {token}"})

    assert reply.status_code in {401, 403}, reply.text
    assert is_documented(reply, mount)


@pytest.mark.parametrize(
    "token",
    [
        "nonsense",
        "a.b.c",
        mint({"role": "service_role"}, "another secret that is long enough"),
        # {"alg":"none"} . {"role":"service_role"} .
        "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.",
    ],
    ids=["nonsense", "three parts of nothing", "another secret", "alg none"],
)
@pytest.mark.parametrize("mount", [REST, NATIVE])
async def test_a_forged_token_is_refused(api, mount, token):
    reply = await api.get(f"{mount}/orders", headers={"Authorization": f"Bearer {token}"})

    assert reply.status_code == 401
    assert is_documented(reply, mount)


async def test_a_tenant_that_nobody_knows_has_no_rows(api, key):
    reply = await api.get(f"{REST}/orders", headers={"Authorization": f"Bearer {key(987654)}"})

    assert (reply.status_code, reply.json()) == (200, [])


async def test_no_credential_is_401_in_the_native_dialect(api):
    reply = await api.get(f"{NATIVE}/orders")

    assert reply.status_code == 401
    assert reply.json()["code"] == "AUTHENTICATION_REQUIRED"


# Fuzzing

PIECES = [
    *("select", "order", "limit", "offset", "and", "or", "not.or", "columns", "on_conflict"),
    *("id", "total", "note", "status", "placed_at", "tags", "profile", "tenant_id", "nothing"),
    *(
        "eq",
        "neq",
        "gt",
        "in",
        "is",
        "like",
        "ilike",
        "match",
        "fts",
        "cs",
        "cd",
        "ov",
        "sl",
        "adj",
    ),
    *("not", "any", "all", "desc", "asc", "nullsfirst", "nullslast", "isdistinct", "wfts(english)"),
    *(
        "=",
        ".",
        ",",
        "(",
        ")",
        "{",
        "}",
        '"',
        "\\",
        "*",
        ":",
        "::",
        "->",
        "->>",
        "&",
        "%",
        "!",
        " ",
    ),
    *("1", "-1", "0", "1.5", "null", "true", "99999999999999999999", "ä", "\U0001f600", "\0", "'"),
    *("::text", "::int", "count()", "customers(name)", "...orders(id)", "x:id", "id::numeric"),
    *("customers!inner(", "order_items(*)", "customers.", "order_items.limit=", "customers(name)."),
]


def random_query(chance):
    style = chance.random()
    if style < 0.2:
        letters = string.printable + "äß€\U0001f600"
        return "".join(chance.choice(letters) for _ in range(chance.randint(0, 40)))
    if style < 0.6:
        return "".join(chance.choice(PIECES) for _ in range(chance.randint(1, 14)))
    pairs = [
        f"{chance.choice(PIECES[:18])}={''.join(chance.choice(PIECES) for _ in range(chance.randint(1, 7)))}"
        for _ in range(chance.randint(1, 4))
    ]
    return "&".join(pairs)


async def test_no_query_string_makes_a_500(stage, key, tenants):
    """Runs for FLUXSHARD_FUZZ_SECONDS; the seed of a failure is in its message."""
    until = time.monotonic() + FUZZ_S
    headers = [
        {"Authorization": f"Bearer {key(tenants[0])}"},
        {"Authorization": f"Bearer {key(role='service_role')}"},
    ]
    tables = ("orders", "customers", "products", "countries", "companies")
    answered = 0

    async def fuzz(client, first):
        nonlocal answered
        seed = first
        while time.monotonic() < until:
            chance = random.Random(seed)
            mount = chance.choice((REST, NATIVE))
            method = chance.choices(("GET", "HEAD", "PATCH", "POST"), (8, 1, 1, 1))[0]
            safe = chance.choice(("", "=&.,()"))
            path = f"{mount}/{chance.choice(tables)}?{quote(random_query(chance), safe=safe)}"
            body = {"content": b"{}"} if method in {"PATCH", "POST"} else {}
            reply = await client.request(method, path, headers=chance.choice(headers), **body)
            assert reply.status_code < 500, (seed, method, path, reply.text)
            answered += 1
            seed += 4

    async with (
        httpx.AsyncClient(base_url=stage.url, timeout=30) as client,
        asyncio.TaskGroup() as group,
    ):
        for first in range(4):
            group.create_task(fuzz(client, first))

    assert answered > 50
