import pytest
from hypothesis import given, strategies

from server.errors import Dialect, RequestMalformed
from server.exchange import Reply
from server.front.encode import encode, http_date
from server.front.target import dialect_of, target
from server.middleware.cors import Cors
from server.middleware.request_id import RequestIds
from server.settings import CorsSettings

USUAL = {"minor": 1, "head": False, "keep_alive": True, "date": "now", "request_id": "r"}


def encoded(reply, **how):
    head, body = encode(reply, **{**USUAL, **how})
    return (head + body).decode()


def test_a_reply_is_a_status_line_fields_and_a_body():
    reply = Reply(200, b"[]", "application/json", (("ETag", 'W/"1"'),))

    assert encoded(reply) == (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
        'ETag: W/"1"\r\nDate: now\r\nX-Request-ID: r\r\n\r\n[]'
    )


def test_an_empty_body_has_a_length():
    assert "Content-Length: 0\r\n" in encoded(Reply(201))


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_is_sent_without_body_and_length(status):
    text = encoded(Reply(status, b"what"))

    assert "Content-Length" not in text
    assert text.endswith("\r\n\r\n")


def test_an_answer_to_head_has_no_body_and_no_length():
    text = encoded(Reply(200, b"[]", "application/json"), head=True)

    assert "Content-Length" not in text
    assert text.endswith("\r\n\r\n")


def test_the_end_of_a_connection_is_told():
    assert "Connection: close\r\n" in encoded(Reply(200), keep_alive=False)
    assert "Connection" not in encoded(Reply(200))


def test_http_1_0_is_answered_in_kind():
    assert encoded(Reply(200), minor=0).startswith("HTTP/1.0 200 OK\r\n")
    assert "Connection: keep-alive\r\n" in encoded(Reply(200), minor=0)
    assert "Connection: close\r\n" in encoded(Reply(200), minor=0, keep_alive=False)


def test_a_status_that_has_no_phrase_is_sent_without_one():
    assert encoded(Reply(599)).startswith("HTTP/1.1 599 \r\n")


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x=1", "a\nb", "a\rb", "a\0", "\x7f"])
def test_a_header_cannot_begin_another(value):
    with pytest.raises(ValueError, match="control character"):
        encoded(Reply(200, headers=(("Location", value),)))


@given(strategies.text(strategies.characters(exclude_categories=["Cs"])))
def test_any_header_value_stays_in_its_field_or_is_refused(value):
    try:
        text = encoded(Reply(200, headers=(("X", value),)))
    except ValueError:
        return
    assert text.count("\r\n") == 6
    assert text.count("\n") == 6


def test_more_headers_stand_among_the_others():
    assert "\r\nVary: Origin\r\nDate" in encoded(Reply(200), more_headers="Vary: Origin\r\n")


def test_a_date_is_written_as_http_wants_it():
    assert http_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("text", "path", "query"),
    [
        ("/a/b?x=1&y=%20", "/a/b", "x=1&y=%20"),
        ("/", "/", ""),
        ("/a?", "/a", ""),
        ("/a?b?c", "/a", "b?c"),
        ("http://host:80/a?x=1", "/a", "x=1"),
        ("HTTPS://host", "/", ""),
        ("http://host?x=1", "/", "x=1"),
        ("*", "*", ""),
        ("//a", "//a", ""),
    ],
)
def test_a_target_is_path_and_query(text, path, query):
    assert target(text) == (path, query)


@pytest.mark.parametrize("text", ["host:443", "ftp://host/a", "a/b", ""])
def test_what_is_neither_path_nor_url_is_malformed(text):
    with pytest.raises(RequestMalformed):
        target(text)


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/rest/v1/x", Dialect.POSTGREST),
        ("/rest/v1", Dialect.POSTGREST),
        ("/rest/v10/x", Dialect.NATIVE),
        ("/api/v1/tables/x", Dialect.NATIVE),
        ("/", Dialect.NATIVE),
    ],
)
def test_a_path_without_a_route_still_has_a_dialect(path, dialect):
    assert dialect_of(path) is dialect


@pytest.mark.parametrize("sent", ["abc-1", "a/b+c=", "550e8400-e29b-41d4-a716-446655440000"])
def test_a_request_id_that_is_fit_for_a_log_is_kept(sent):
    assert RequestIds().of(sent) == sent


@pytest.mark.parametrize("sent", [None, "", "a b", "a\nb", "x" * 129, "ä", '"'])
def test_any_other_is_replaced(sent):
    ids = RequestIds()

    first, second = ids.of(sent), ids.of(sent)

    assert sent not in {first, second}
    assert first != second


def test_two_processes_never_make_the_same_request_id():
    assert RequestIds().of(None) != RequestIds().of(None)


PAGE = "http://localhost:5173"


def test_a_page_that_is_allowed_may_read_the_response():
    lines = Cors(CorsSettings(exposed_headers=("ETag",))).header_lines(PAGE)

    assert lines.split("\r\n") == [
        f"Access-Control-Allow-Origin: {PAGE}",
        "Access-Control-Allow-Credentials: true",
        "Access-Control-Expose-Headers: ETag",
        "Vary: Origin",
        "",
    ]


def test_another_page_may_not():
    assert Cors(CorsSettings()).header_lines("https://evil.example") == "Vary: Origin\r\n"


def test_without_an_origin_nothing_is_said():
    assert Cors(CorsSettings()).header_lines(None) == ""


def test_a_star_allows_every_page_by_its_own_name():
    lines = Cors(CorsSettings(allowed_origins=("*",))).header_lines("https://any.example")

    assert lines.startswith("Access-Control-Allow-Origin: https://any.example\r\n")


PREFLIGHT = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}


def test_a_preflight_of_an_allowed_page_is_told_what_it_may_send():
    reply = Cors(CorsSettings()).preflight("OPTIONS", PREFLIGHT)

    headers = dict(reply.headers)
    assert reply.status == 204
    assert headers["Access-Control-Allow-Methods"] == "GET, POST, PUT, PATCH, DELETE, OPTIONS"
    assert "apikey" in headers["Access-Control-Allow-Headers"]
    assert headers["Access-Control-Max-Age"] == "300"


def test_a_preflight_of_another_page_is_told_nothing():
    reply = Cors(CorsSettings()).preflight("OPTIONS", {**PREFLIGHT, "Origin": "https://evil"})

    assert reply == Reply(204)


@pytest.mark.parametrize(("method", "headers"), [("GET", PREFLIGHT), ("OPTIONS", {"Origin": PAGE})])
def test_other_requests_are_no_preflight(method, headers):
    assert Cors(CorsSettings()).preflight(method, headers) is None
