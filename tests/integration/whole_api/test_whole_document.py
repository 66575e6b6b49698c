"""OpenAPI 3.1 of the whole API at /openapi.json, and the page at /docs."""

import re

import pytest

from server.routes import Routes

SHORT = {
    *((method, "/api/v1/tables/{table}") for method in ("GET", "POST", "PUT", "PATCH", "DELETE")),
    ("PUT", "/api/v1/tables/{schema}/{table}"),  # the table and the id
    *((method, "/rest/v1/rpc/{function}") for method in ("PUT", "PATCH", "DELETE")),  # PGRST101
}
"""Short forms of paths that are described with their schema, and what is only refused by name."""


def document(site, **options):
    response = site.ask("GET", "/openapi.json", **options)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture(scope="module")
def seen(site):
    """What tenants see."""
    return document(site, tenant=site.A)


def operations(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield path, method, item.get("parameters", []), operation


def resolved(document, value):
    while "$ref" in value:
        found = document
        for key in value["$ref"].removeprefix("#/").split("/"):
            found = found[key]
        value = found
    return value


def values(value):
    yield value
    members = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    )
    for member in members:
        yield from values(member)


def test_the_document_is_well_formed(seen):
    assert seen["openapi"] == "3.1.0"
    assert seen["info"]["title"] == "Fluxshard"
    ids = [operation["operationId"] for *_, operation in operations(seen)]
    assert len(ids) == len(set(ids))
    for kind, components in seen["components"].items():
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+", key) for key in components), kind
    for value in values(seen):
        if isinstance(value, dict) and isinstance(value.get("$ref"), str):
            assert resolved(seen, value)


def test_every_operation_has_its_parameters_once_and_all_variables_of_its_path(seen):
    for path, method, shared, operation in operations(seen):
        found = [resolved(seen, each) for each in [*shared, *operation.get("parameters", [])]]
        places = [(each["in"], each["name"]) for each in found]
        assert len(places) == len(set(places)), (path, method)
        assert {name for place, name in places if place == "path"} == set(
            re.findall(r"\{([^}]+)\}", path)
        )
        assert all(each["description"] for each in found if each["in"] != "path"), (path, method)


def test_every_operation_says_what_it_does_who_may_ask_and_how_it_fails(seen):
    for path, method, _, operation in operations(seen):
        assert operation["summary"], (path, method)
        assert operation["tags"][0] in {tag["name"] for tag in seen["tags"]}
        assert {"400", "401", "403", "500", "503"} <= set(operation["responses"]), (path, method)
        for response in operation["responses"].values():
            assert resolved(seen, response)["description"]
    assert seen["paths"]["/health"]["get"]["security"] == [{}]
    assert seen["security"] == [{"token": []}, {"apikey": []}, {"serviceKey": []}]


def test_both_bodies_of_errors_are_described_with_our_codes(seen):
    native, postgrest = (
        seen["components"]["schemas"][name] for name in ("Error", "PostgrestError")
    )

    assert {"error", "code", "message", "hint", "details", "request_id"} == set(
        native["properties"]
    )
    assert postgrest["required"] == ["code", "message", "details", "hint"]
    for code in ("P102", "P150", "P203", "COMMIT_UNKNOWN", "TENANT_CONTRADICTED"):
        assert f"`{code}`" in native["description"] or code == "COMMIT_UNKNOWN"
    unavailable = seen["components"]["responses"]["Unavailable"]
    assert "Retry-After" in unavailable["headers"]


def test_rows_are_described_as_they_are_read_inserted_and_updated(seen):
    schemas = seen["components"]["schemas"]
    row, inserted, updated = (
        schemas[f"public.orders{part}"] for part in ("", ".insert", ".update")
    )

    assert row["properties"]["mood"]["enum"] == ["bad", "ok", "great"]
    assert row["properties"]["total"] == {
        "x-postgres-type": "numeric",
        "type": "number",
        "default": 5,
    }
    assert row["properties"]["tags"]["items"] == {"x-postgres-type": "text", "type": "string"}
    assert row["properties"]["double"]["readOnly"]
    assert row["properties"]["customer_id"]["type"] == ["integer", "null"]
    assert "Refers to `customers.id`" in row["properties"]["customer_id"]["description"]
    assert inserted["required"] == ["id"]
    assert "double" not in inserted["properties"]
    assert "tenant_id" not in updated["properties"]
    assert "public.great_orders.insert" not in schemas


def test_tables_have_their_paths_in_both_dialects(seen):
    paths = seen["paths"]

    assert set(paths["/api/v1/tables/public/orders"]) == {"get", "post", "patch", "delete"}
    assert set(paths["/api/v1/tables/public/orders/query"]) == {"post"}
    assert set(paths["/api/v1/tables/public/orders/{id}"]) == {
        "parameters",
        "get",
        "put",
        "patch",
        "delete",
    }
    assert set(paths["/rest/v1/orders"]) == {"get", "post", "patch", "delete", "put"}
    assert set(paths["/rest/v1/great_orders"]) == {"get"}
    assert "/api/v1/tables/public/keyless/{id}" not in paths
    assert set(paths["/rest/v1/rpc/add"]) == {"get", "post"}
    assert set(paths["/rest/v1/rpc/mark"]) == {"post"}
    assert paths["/api/v1/rpc/default/orders_over"]["post"]["summary"] == "Orders over a total"


def test_every_route_is_described(site, seen):
    for path, method in site.routes:
        if method == "OPTIONS" or (method, path) in SHORT:
            continue
        pattern = re.compile(re.sub(r"\{[a-z_]+\}", "[^/]+", path) + "/?")
        found = [item for described, item in seen["paths"].items() if pattern.fullmatch(described)]
        assert any(method.lower() in item for item in found), (method, path)


def test_every_described_path_is_routed(site, seen):
    routes = Routes(site.routed)
    for path, method, *_ in operations(seen):
        match = routes.match(method.upper(), re.sub(r"\{[^}]+\}", "1", path))
        assert match.route.method == method.upper()


def test_who_is_unknown_sees_no_tables(site):
    nobody = document(site, token="")
    anonymous = document(site, token="", front="anonymous")
    all_shown = document(site, token="", front="behind a proxy")
    wrong = site.ask("GET", "/openapi.json", token="a.b.c")

    assert "/api/v1/tables/{schema}/{table}" in nobody["paths"]
    assert not any("orders" in path for path in nobody["paths"])
    assert "/rest/v1/countries" in anonymous["paths"]
    assert "/rest/v1/orders" not in anonymous["paths"]
    assert "/rest/v1/plans" in all_shown["paths"]
    assert wrong.status_code == 401


def test_a_document_that_has_not_changed_is_not_sent_again(site):
    first = site.ask("GET", "/openapi.json", tenant=site.A)
    again = site.ask("GET", "/openapi.json", tenant=site.B, If_None_Match=first.headers["ETag"])

    assert (again.status_code, again.content) == (304, b"")


def test_the_page_comes_from_here_alone(site):
    page = site.ask("GET", "/docs", token="")
    script, style = (site.ask("GET", f"/docs/viewer.{end}", token="") for end in ("js", "css"))

    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert script.headers["Content-Type"].startswith("text/javascript")
    assert style.headers["Content-Type"].startswith("text/css")
    for text in (page.text, script.text, style.text):
        assert "//" not in text.replace("// ", "")
    assert "innerHTML" not in script.text
