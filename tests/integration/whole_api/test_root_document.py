"""OpenAPI 2.0 at the root of the PostgREST dialect, in the form that its clients know."""

import pytest


def document(site, **options):
    response = site.ask("GET", "/rest/v1/", **options)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/openapi+json; charset=utf-8"
    return response.json()


@pytest.fixture(scope="module")
def seen(site):
    """What tenants see."""
    return document(site, tenant=site.A)


def test_the_comment_of_the_schema_gives_title_and_description(seen):
    assert seen["swagger"] == "2.0"
    assert seen["info"]["title"] == "Shop"
    assert seen["info"]["description"] == "What is sold, and to whom."
    assert (seen["host"], seen["basePath"], seen["schemes"]) == (
        "0.0.0.0:8080",
        "/rest/v1",
        ["http"],
    )
    assert "securityDefinitions" not in seen


def test_columns_have_types_formats_defaults_labels_and_notes_on_keys(seen):
    orders = seen["definitions"]["orders"]

    assert orders["type"] == "object"
    assert orders["required"] == ["tenant_id", "id", "total", "mood"]
    assert orders["properties"] == {
        "tenant_id": {
            "description": "Note:\nThis is a Primary Key.<pk/>",
            "format": "integer",
            "type": "integer",
        },
        "id": {
            "description": "Note:\nThis is a Primary Key.<pk/>",
            "format": "integer",
            "type": "integer",
        },
        "customer_id": {
            "description": "Note:\nThis is a Foreign Key to `customers.id`."
            "<fk table='customers' column='id'/>",
            "format": "integer",
            "type": "integer",
        },
        "payer_id": {
            "description": "Note:\nThis is a Foreign Key to `customers.id`."
            "<fk table='customers' column='id'/>",
            "format": "integer",
            "type": "integer",
        },
        "note": {"format": "text", "type": "string"},
        "total": {"default": 5, "format": "numeric", "type": "number"},
        "mood": {
            "default": "ok",
            "enum": ["bad", "ok", "great"],
            "format": "public.mood",
            "type": "string",
        },
        "label": {
            "default": "none",
            "maxLength": 5,
            "format": "character varying",
            "type": "string",
        },
        "tags": {"format": "text[]", "type": "array", "items": {"type": "string"}},
        "data": {"format": "jsonb"},
        "placed_at": {
            "default": "now()",
            "format": "timestamp with time zone",
            "type": "string",
        },
        "double": {"format": "numeric", "type": "number"},
    }
    customers = seen["definitions"]["customers"]
    assert customers["description"] == "Who buys\n\nEverybody who has ever ordered."
    assert customers["properties"]["name"]["description"] == "As written on letters"
    assert customers["properties"]["name"]["maxLength"] == 40


def test_tables_have_the_four_methods_and_views_are_read(seen):
    path = seen["paths"]["/customers"]

    assert set(path) == {"get", "post", "delete", "patch"}
    assert path["get"]["summary"] == "Who buys"
    assert path["get"]["description"] == "Everybody who has ever ordered."
    assert path["get"]["tags"] == ["customers"]
    assert [each["$ref"] for each in path["get"]["parameters"]] == [
        "#/parameters/rowFilter.customers.tenant_id",
        "#/parameters/rowFilter.customers.id",
        "#/parameters/rowFilter.customers.name",
        "#/parameters/rowFilter.customers.country",
        *(
            f"#/parameters/{name}"
            for name in ("select", "order", "range", "rangeUnit", "offset", "limit", "preferCount")
        ),
    ]
    assert [each["$ref"] for each in path["post"]["parameters"]] == [
        "#/parameters/body.customers",
        "#/parameters/select",
        "#/parameters/preferPost",
    ]
    assert set(path["post"]["responses"]) == {"201"}
    assert set(path["get"]["responses"]) == {"200", "206"}
    assert set(path["patch"]["responses"]) == set(path["delete"]["responses"]) == {"204"}


def test_every_reference_leads_somewhere(seen):
    def references(value):
        if isinstance(value, dict):
            yield from [value["$ref"]] if "$ref" in value else []
            for member in value.values():
                yield from references(member)
        elif isinstance(value, list):
            for member in value:
                yield from references(member)

    found = set(references(seen))

    assert found
    for reference in found:
        _, kind, name = reference.split("/", 2)
        assert name in seen[kind], reference


def test_functions_are_called_by_post_and_read_by_get(seen):
    add = seen["paths"]["/rpc/add"]

    assert add["get"]["parameters"] == [
        {"name": "a", "in": "query", "required": True, "type": "integer", "format": "integer"},
        {"name": "b", "in": "query", "required": False, "type": "integer", "format": "integer"},
    ]
    args, prefer = add["post"]["parameters"]
    assert prefer == {"$ref": "#/parameters/preferParams"}
    assert args["schema"] == {
        "type": "object",
        "description": "Adds\n\nTwo numbers.",
        "required": ["a"],
        "properties": {
            "a": {"format": "integer", "type": "integer"},
            "b": {"format": "integer", "type": "integer"},
        },
    }
    assert add["post"]["summary"] == "Adds"
    assert add["post"]["tags"] == ["(rpc) add"]
    assert set(seen["paths"]["/rpc/mark"]) == {"post"}
    assert seen["paths"]["/rpc/total"]["get"]["parameters"] == [
        {
            "name": "numbers",
            "in": "query",
            "required": False,
            "type": "array",
            "collectionFormat": "multi",
            "items": {"type": "integer", "format": "integer"},
        }
    ]


def test_a_role_sees_what_it_may_use(site, seen):
    service = document(site)
    anonymous = document(site, token="", front="anonymous")

    assert "/plans" not in seen["paths"]
    assert "/rpc/hidden_function" not in seen["paths"]
    assert {"/plans", "/orders"} <= set(service["paths"])
    assert {path for path in anonymous["paths"] if not path.startswith("/rpc/")} == {
        "/",
        "/countries",
        "/great_orders",
    }


def test_behind_a_proxy_everything_is_shown_with_the_proxys_place(site):
    seen = document(site, tenant=site.A, front="behind a proxy")

    assert {"/plans", "/rpc/hidden_function"} <= set(seen["paths"])
    assert seen["host"] == "api.example.org:443"
    assert (seen["schemes"], seen["basePath"]) == (["https"], "/shop")
    assert seen["securityDefinitions"]["JWT"]["in"] == "header"
    assert seen["security"] == [{"JWT": []}]


def test_a_switched_off_document_is_not_found(site):
    response = site.ask("GET", "/rest/v1/", front="disabled")

    assert response.status_code == 404
    assert response.json() == {
        "code": "PGRST126",
        "message": "Root endpoint metadata is disabled",
        "details": None,
        "hint": None,
    }


def test_a_function_may_give_the_document(site):
    assert document(site, tenant=site.A, front="own root") == {"swagger": "2.0", "own": True}


def test_profiles_media_types_and_methods_of_the_root(site):
    chosen = site.ask("GET", "/rest/v1/", Accept_Profile="public")
    unknown = site.ask("GET", "/rest/v1/", Accept_Profile="other")
    refused = site.ask("GET", "/rest/v1/", Accept="text/csv")
    options = site.ask("OPTIONS", "/rest/v1/")
    head = site.ask("HEAD", "/rest/v1")
    again = site.ask("GET", "/rest/v1/", If_None_Match=chosen.headers["ETag"])

    assert chosen.headers["Content-Profile"] == "public"
    assert (unknown.status_code, unknown.json()["code"]) == (406, "PGRST106")
    assert (refused.status_code, refused.json()["code"]) == (406, "PGRST107")
    assert options.headers["Allow"] == "OPTIONS,GET,HEAD"
    assert (head.status_code, head.content) == (200, b"")
    assert (again.status_code, again.content) == (304, b"")
