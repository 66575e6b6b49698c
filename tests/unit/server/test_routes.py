import pytest

from server.errors import MethodRefused, RequestMalformed, RouteUnknown
from server.routes import REMEMBERED_PATHS, Route, Routes


async def handler(_request):
    raise NotImplementedError


TABLES = "/api/v1/tables"


def table_routes():
    return Routes(
        [
            Route("GET", "/", handler),
            Route("GET", "/health", handler),
            Route("GET", TABLES, handler),
            Route("GET", TABLES + "/{table}", handler),
            Route("POST", TABLES + "/{table}", handler),
            Route("GET", TABLES + "/{schema}/{table}", handler),
            Route("POST", TABLES + "/{schema}/{table}", handler),
            Route("POST", TABLES + "/{table}/query", handler),
            Route("POST", TABLES + "/{schema}/{table}/query", handler),
            Route("GET", TABLES + "/{schema}/{table}/{id}", handler),
            Route("GET", "/both", handler),
            Route("HEAD", "/both", handler),
        ]
    )


@pytest.mark.parametrize(
    ("method", "path", "template", "params"),
    [
        ("GET", "/", "/", {}),
        ("GET", "/health", "/health", {}),
        ("GET", "/health/", "/health", {}),
        ("GET", TABLES + "/", TABLES, {}),
        ("GET", TABLES + "/orders", TABLES + "/{table}", {"table": "orders"}),
        (
            "GET",
            TABLES + "/public/orders",
            TABLES + "/{schema}/{table}",
            {"schema": "public", "table": "orders"},
        ),
        ("POST", TABLES + "/orders/query", TABLES + "/{table}/query", {"table": "orders"}),
        (
            "GET",
            TABLES + "/orders/query",
            TABLES + "/{schema}/{table}",
            {"schema": "orders", "table": "query"},
        ),
        (
            "POST",
            TABLES + "/a/b/query",
            TABLES + "/{schema}/{table}/query",
            {"schema": "a", "table": "b"},
        ),
        (
            "GET",
            TABLES + "/a/b/query",
            TABLES + "/{schema}/{table}/{id}",
            {"schema": "a", "table": "b", "id": "query"},
        ),
        ("GET", TABLES + "/%C3%A4%2Fb", TABLES + "/{table}", {"table": "ä/b"}),
        ("GET", TABLES + "/a+b", TABLES + "/{table}", {"table": "a+b"}),
    ],
)
def test_a_path_leads_to_its_route_with_decoded_variables(method, path, template, params):
    routes = table_routes()

    for _ in ("first", "remembered"):
        match = routes.match(method, path)

        assert match.route.template == template
        assert match.params == params


@pytest.mark.parametrize("path", ["/nothing", TABLES + "//x", TABLES + "/a/b/c/d", "//health", ""])
def test_a_path_without_a_route_is_unknown(path):
    with pytest.raises(RouteUnknown):
        table_routes().match("GET", path or "/x/y")


def test_a_method_without_a_route_is_refused_with_those_that_there_are():
    with pytest.raises(MethodRefused) as caught:
        table_routes().match("DELETE", TABLES + "/orders/query")

    assert caught.value.allowed == ("GET", "HEAD", "OPTIONS", "POST")
    assert caught.value.headers == (("Allow", "GET, HEAD, OPTIONS, POST"),)


def test_head_is_served_by_get_unless_it_has_a_route():
    routes = table_routes()

    assert routes.match("HEAD", "/health").route.method == "GET"
    assert routes.match("HEAD", "/both").route.method == "HEAD"


def test_the_methods_of_a_path_are_known():
    assert table_routes().allowed("/health") == ("GET", "HEAD", "OPTIONS")


def test_the_methods_of_an_unknown_path_are_not():
    with pytest.raises(RouteUnknown):
        table_routes().allowed("/nothing")


def test_a_path_that_is_not_utf8_is_malformed():
    with pytest.raises(RequestMalformed):
        table_routes().match("GET", TABLES + "/%ff")


def test_two_routes_for_one_method_and_path_are_a_mistake():
    with pytest.raises(ValueError, match="routed twice"):
        Routes([Route("GET", "/a/{x}", handler), Route("GET", "/a/{y}", handler)])


def test_memory_of_paths_is_bounded():
    routes = table_routes()

    for number in range(REMEMBERED_PATHS + 10):
        routes.match("GET", f"{TABLES}/t{number}")
    routes.match("GET", f"{TABLES}/{'x' * 1000}")

    assert len(routes._remembered) == 10
