"""Calls at /api/v1/rpc, as the SDK makes them."""

import pytest


def call(site, name, params=None, **options):
    return site.ask(
        "POST", f"/api/v1/rpc/{name}", {"params": params or {}, "async": False}, **options
    )


def test_a_procedure_gives_the_rows_of_the_callers_tenant(site):
    for tenant in (site.A, site.B):
        response = call(site, "default/orders_over", {"least": 10}, tenant=tenant)

        assert response.status_code == 200, response.text
        answer = response.json()
        assert answer["status"] == "completed"
        assert answer["rows_returned"] == 2
        assert answer["duration_ms"] >= 0
        assert len(answer["execution_id"]) == 32
        assert answer["result"] == [
            {"id": 2, "total": 20.00, "role": "authenticated"},
            {"id": 3, "total": 30.00, "role": "authenticated"},
        ]


def test_parameters_with_a_question_mark_may_be_given(site):
    found = call(site, "default/orders_over", {"least": 1, "note": "two"}, tenant=site.A)

    assert [row["id"] for row in found.json()["result"]] == [2]


def test_a_procedure_of_a_role_may_write(site):
    refused = call(site, "shop/labelled", {"id": 1, "label": "new"}, tenant=site.A2)
    manager = site.token(site.A2, role="manager")
    done = call(site, "shop/labelled", {"id": 1, "label": "new"}, token=manager)

    assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN")
    assert refused.json()["hint"] == "It is for: manager."
    assert done.json()["result"] == [{"id": 1, "label": "new"}]


def test_who_is_listed_what_they_may_call(site):
    def names(**options):
        answer = site.ask("GET", "/api/v1/rpc/procedures", **options).json()
        assert answer["count"] == len(answer["procedures"])
        return {f"{each['namespace']}.{each['name']}" for each in answer["procedures"]}

    assert names() == {"default.orders_over", "default.many", "shop.labelled"}
    assert names(tenant=site.A) == {"default.orders_over", "default.many"}
    assert names(token="", front="anonymous") == {"default.many"}
    shop = site.ask("GET", "/api/v1/rpc/procedures?namespace=shop").json()
    assert [each["name"] for each in shop["procedures"]] == ["labelled"]


def test_functions_of_the_database_are_called_where_there_is_no_file(site):
    found = call(site, "default/add", {"a": 1, "b": 2}, tenant=site.A).json()
    rows = call(site, "public/orders_of", {"tenant_id": site.B}).json()
    nothing = call(site, "public/mark", {"id": 0}, tenant=site.A).json()

    assert (found["result"], found["rows_returned"]) == (3, 1)
    assert ([row["id"] for row in rows["result"]], rows["rows_returned"]) == ([1, 2, 3], 3)
    assert (nothing["result"], nothing["rows_returned"]) == (None, 0)


@pytest.mark.parametrize(
    ("name", "body", "status", "code", "error"),
    [
        ("default/none", {}, 404, "NOT_FOUND", "Procedure not found"),
        ("other/add", {}, 404, "NOT_FOUND", "Procedure not found"),
        ("default/orders_over", {}, 400, "INVALID_INPUT", "Missing parameter: least"),
        (
            "default/orders_over",
            {"params": {"least": 1, "x": 1}},
            400,
            "INVALID_INPUT",
            "Unknown parameter: x",
        ),
        ("default/orders_over", {"params": {"least": "x"}}, 400, "INVALID_INPUT", None),
        ("default/many", {}, 400, "TOO_MANY_ROWS", "The procedure gives more than 1000 rows"),
        (
            "default/many",
            {"async": True},
            400,
            "FEATURE_NOT_SUPPORTED",
            "Asynchronous calls of procedures: not supported",
        ),
    ],
)
def test_a_call_that_fails_says_why(site, name, body, status, code, error):
    response = site.ask("POST", f"/api/v1/rpc/{name}", body, tenant=site.A)

    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert error in {None, response.json()["error"]}
