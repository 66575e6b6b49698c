import asyncio
import gzip
import tracemalloc
import zlib

import orjson
import pytest

from router import PoolTimeout, UnsupportedAcrossShards
from server.errors import Dialect
from server.exchange import Reply
from server.observe.facts import RequestAnswered, RequestCrashed
from server.routes import BodyKind, Entry, Route
from server.settings import AuthSettings, HttpSettings
from shardmap import ShardId


async def hello(_request):
    return Reply(200, b'"hello"', "application/json")


async def echo(request):
    return Reply(201, request.body, "application/octet-stream")


async def nothing(_request):
    return Reply(204)


async def big(_request):
    return Reply(200, b"x" * 2_000_000, "text/plain")


async def crash(_request):
    raise ZeroDivisionError("the secret of the handler")


async def unavailable(_request):
    raise PoolTimeout(ShardId("s1"), "the connection pool of s1 is busy")


async def refused(_request):
    raise UnsupportedAcrossShards("OFFSET")


async def splitting(_request):
    return Reply(200, headers=(("Location", "/x\r\nSet-Cookie: a=b"),))


async def who(request):
    caller = request.principal
    return Reply(200, orjson.dumps([caller.role, caller.tenant]), "application/json")


async def see(request):
    seen = [request.path, request.query, dict(request.params), request.headers["x-odd"]]
    return Reply(200, orjson.dumps(seen), "application/json")


def opened(method, path, handler, **more):
    return Route(method, path, handler, entry=Entry.OPEN, **more)


ROUTES = (
    opened("GET", "/hello", hello),
    opened("POST", "/echo", echo),
    opened("POST", "/bulk", echo, body=BodyKind.BULK),
    opened("GET", "/nothing", nothing),
    opened("GET", "/big", big),
    opened("GET", "/crash", crash),
    opened("GET", "/unavailable", unavailable),
    opened("GET", "/refused", refused),
    opened("GET", "/rest/v1/refused", refused, dialect=Dialect.POSTGREST),
    opened("GET", "/rest/v1/crash", crash, dialect=Dialect.POSTGREST),
    opened("GET", "/splitting", splitting),
    opened("GET", "/see/{what}/{id}", see),
    Route("GET", "/api/v1/who", who),
    Route("POST", "/api/v1/echo", echo),
    Route("GET", "/rest/v1/who", who, dialect=Dialect.POSTGREST, entry=Entry.ANONYMOUS),
)
SMUGGLED = (
    b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
)
SMALL = HttpSettings(rest_limit_bytes=100, default_limit_bytes=100, bulk_limit_bytes=1000)
BRIEF = HttpSettings(read_timeout_s=0.05)


class TestConnections:
    async def test_one_connection_carries_many_requests(self, serving):
        async with serving(ROUTES) as site, site.client() as client:
            for _ in range(3):
                response = await client.ask("GET /hello")

                assert (response.line, response.body) == ("HTTP/1.1 200 OK", b'"hello"')
                assert "connection" not in response.headers

    async def test_pipelined_requests_are_answered_in_order(self, serving):
        async with serving(ROUTES) as site, site.client() as client:
            client.send(
                b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
                b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
                b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
                b"HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n"
                b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
            )

            heads = (False, False, False, True, False)
            answers = [await client.response(head=head) for head in heads]

        assert [answer.status for answer in answers] == [200, 201, 204, 200, 200]
        assert [answer.body for answer in answers] == [b'"hello"', b"abc", b"", b"", b'"hello"']

    async def test_a_hundred_pipelined_requests_are_answered(self, serving):
        async with serving(ROUTES) as site, site.client() as client:
            client.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n" * 100)

            assert [(await client.response()).status for _ in range(100)] == [200] * 100

    async def test_a_request_that_arrives_byte_by_byte_is_answered(self, serving):
        async with serving(ROUTES) as site, site.client() as client:
            for byte in b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok":
                client.send(bytes([byte]))
                await client.writer.drain()
                await asyncio.sleep(0)

            assert (await client.response()).body == b"ok"

    async def test_a_client_that_wants_no_more_is_let_go(self, serving):
        async with serving(ROUTES) as site, site.client() as client:
            response = await client.ask("GET /hello\nConnection: close")

            assert response.headers["connection"] == "close"
            assert await client.ended()

    async def test_http_1_0_ends_with_its_response(self, serving):
        async with serving(ROUTES) as site, site.client() as client:
            client.send(b"GET /hello HTTP/1.0\r\n\r\n")
            response = await client.response()

            assert response.line == "HTTP/1.0 200 OK"
            assert response.headers["connection"] == "close"
            assert await client.ended()

    async def test_http_1_0_may_ask_to_be_kept(self, serving):
        async with serving(ROUTES) as site, site.client() as client:
            for _ in range(2):
                client.send(b"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")

                assert (await client.response()).headers["connection"] == "keep-alive"

    async def test_a_draining_server_lets_its_clients_go(self, serving):
        async with serving(ROUTES) as site, site.client() as client:
            site.lifecycle.draining = True
            response = await client.ask("GET /hello")

            assert (response.status, response.headers["connection"]) == (200, "close")
            assert await client.ended()

    async def test_head_is_answered_like_get_without_a_body(self, serving):
        async with serving(ROUTES) as site, site.client() as client:
            head = await client.ask("HEAD /hello")
            get = await client.ask("GET /hello")

        assert head.headers["content-type"] == get.headers["content-type"]
        assert "content-length" not in head.headers

    async def test_a_large_response_arrives_whole(self, serving):
        async with serving(ROUTES) as site:
            assert len((await site.ask("GET /big")).body) == 2_000_000

    async def test_a_wish_to_upgrade_is_passed_over(self, serving):
        async with serving(ROUTES) as site, site.client() as client:
            wish = "Upgrade: h2c\nConnection: Upgrade, HTTP2-Settings\nHTTP2-Settings: AAMAAABk"

            assert (await client.ask(f"GET /hello\n{wish}")).status == 200
            assert (await client.ask("GET /hello")).status == 200

    async def test_a_client_that_leaves_cancels_its_handler(self, serving):
        cancelled = asyncio.Event()
        begun = asyncio.Event()

        async def slow(_request):
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise

        async with serving((opened("GET", "/slow", slow),)) as site:
            async with site.client() as client:
                client.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
                await begun.wait()
                assert site.lifecycle.in_flight == 1
            async with asyncio.timeout(60):
                await cancelled.wait()
            fact = await site.seen(lambda fact: isinstance(fact, RequestAnswered))

        assert (fact.route, fact.status) == ("/slow", 499)
        assert site.lifecycle.in_flight == 0

    async def test_a_client_that_does_not_read_is_cut_off(self, serving):
        async def huge(_request):
            return Reply(200, b"x" * 50_000_000, "text/plain")

        http = HttpSettings(write_timeout_s=0.05)
        async with serving((opened("GET", "/huge", huge),), http=http) as site:
            reader, writer = await asyncio.open_unix_connection(site.path, limit=1024)
            writer.write(b"GET /huge HTTP/1.1\r\nHost: x\r\n\r\n")
            await site.seen(lambda fact: isinstance(fact, RequestAnswered))
            received = 0
            await site.deserted()
            async with asyncio.timeout(60):
                while part := await reader.read(1_000_000):
                    received += len(part)
            writer.close()

        assert received < 50_000_000


class TestBodies:
    async def test_a_body_is_read_in_chunks_too(self, serving):
        async with serving(ROUTES) as site, site.client() as client:
            client.send(
                b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
            )
            assert (await client.response()).body == b"abcde"

            assert (await client.ask("GET /hello")).status == 200

    async def test_a_client_that_asks_first_is_told_to_go_on(self, serving):
        async with serving(ROUTES) as site, site.client() as client:
            client.send(
                b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                b"Expect: 100-continue\r\n\r\n"
            )
            assert (await client.response()).line == "HTTP/1.1 100 Continue"
            client.send(b"abc")

            assert (await client.response()).body == b"abc"
            assert (await client.ask("GET /hello")).status == 200

    async def test_a_client_that_sends_at_once_is_not_told_to_go_on(self, serving):
        async with serving(ROUTES) as site, site.client() as client:
            assert (await client.ask("POST /echo\nExpect: 100-continue", b"abc")).body == b"abc"

    async def test_a_client_that_asks_first_hears_a_refusal_before_it_sends(self, serving):
        async with serving(ROUTES, http=SMALL) as site:
            for line, status in (("/echo", 413), ("/api/v1/echo", 401), ("/none", 404)):
                async with site.client() as client:
                    client.send(
                        f"POST {line} HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n"
                        "Expect: 100-continue\r\n\r\n"
                    )
                    response = await client.response()

                    assert response.status == status
                    assert response.headers["connection"] == "close"

    async def test_another_expectation_cannot_be_met(self, serving):
        async with serving(ROUTES) as site:
            assert (await site.ask("POST /echo\nExpect: wonders", b"abc")).status == 417

    @pytest.mark.parametrize(
        ("route", "size", "status"),
        [("/echo", 100, 201), ("/echo", 101, 413), ("/bulk", 1000, 201), ("/bulk", 1001, 413)],
    )
    async def test_a_body_may_be_as_large_as_its_route_takes(self, serving, route, size, status):
        async with serving(ROUTES, http=SMALL) as site:
            assert (await site.ask(f"POST {route}", b"x" * size)).status == status

    async def test_no_body_is_larger_than_the_limit_of_all(self, serving):
        http = HttpSettings(body_limits_enabled=False, body_limit_bytes=50)
        async with serving(ROUTES, http=http) as site:
            assert (await site.ask("POST /bulk", b"x" * 50)).status == 201
            assert (await site.ask("POST /bulk", b"x" * 51)).status == 413

    async def test_chunks_are_counted_as_they_come(self, serving):
        async with serving(ROUTES, http=SMALL) as site, site.client() as client:
            client.send(
                b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%b"
                % (2 * b"64\r\n%b\r\n" % (b"x" * 100, b"x" * 100))
            )
            response = await client.response()

        assert response.status == 413
        assert orjson.loads(response.body)["code"] == "BODY_TOO_LARGE"

    @pytest.mark.parametrize(
        ("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
    )
    async def test_a_compressed_body_is_unpacked(self, serving, encoding, compress):
        async with serving(ROUTES) as site:
            response = await site.ask(
                f"POST /echo\nContent-Encoding: {encoding}", compress(b"[1,2]")
            )

        assert response.body == b"[1,2]"

    async def test_a_small_body_that_unpacks_to_a_lot_is_too_large(self, serving):
        bomb = gzip.compress(b"\0" * 300_000_000)
        http = HttpSettings(default_limit_bytes=1_000_000)
        async with serving(ROUTES, http=http) as site:
            tracemalloc.start()
            response = await site.ask("POST /echo\nContent-Encoding: gzip", bomb)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()

        assert len(bomb) < 400_000
        assert response.status == 413
        assert peak < 10_000_000

    async def test_a_body_in_an_unknown_encoding_is_refused(self, serving):
        async with serving(ROUTES) as site:
            for encoding in ("br", "zstd", "compress", "gzip, gzip"):
                response = await site.ask(f"POST /echo\nContent-Encoding: {encoding}", b"abc")

                assert response.status == 415

    async def test_a_body_that_is_not_what_it_says_is_refused(self, serving):
        async with serving(ROUTES) as site:
            response = await site.ask("POST /echo\nContent-Encoding: gzip", b"no gzip at all")

        assert response.status == 400
        assert orjson.loads(response.body)["code"] == "REQUEST_MALFORMED"

    async def test_a_body_that_does_not_come_is_not_waited_for(self, serving):
        async with serving(ROUTES, http=BRIEF) as site, site.client() as client:
            client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na")

            assert (await client.response()).status == 408

    async def test_a_get_may_have_a_body(self, serving):
        async with serving(ROUTES) as site, site.client() as client:
            assert (await client.ask("GET /hello", b"abc")).status == 200
            assert (await client.ask("GET /hello")).status == 200


class TestWhatIsNoRequest:
    @pytest.mark.parametrize(
        ("data", "status"),
        [
            (b"nonsense\r\n\r\n", 400),
            (b"GET\r\n\r\n", 400),
            (b"GET /hello HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n", 400),
            (b"GET /hello HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", 400),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
            (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
            (b"GET /hello HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 40_000 + b"\r\n\r\n", 431),
            (SMUGGLED, 400),
            (b"POST /echo HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
            (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
            (b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: odd\r\n\r\n", 400),
        ],
    )
    async def test_it_is_answered_in_json_and_the_connection_ends(self, serving, data, status):
        async with serving(ROUTES) as site, site.client() as client:
            client.send(data)
            response = await client.response()

            assert response.status == status
            body = orjson.loads(response.body)
            code = "REQUEST_TOO_LONG" if status == 431 else "REQUEST_MALFORMED"
            assert (body["error"], body["code"]) == ("Not a valid HTTP request", code)
            assert response.headers["x-request-id"] == body["request_id"]
            assert await client.ended()
        fact = site.facts[-1]
        assert (fact.method, fact.route, fact.status) == ("-", "(malformed)", status)

    @pytest.mark.parametrize("line", ["GET ftp://x/hello", "GET /see/%ff/1"])
    async def test_a_target_that_cannot_be_read_is_malformed(self, serving, line):
        async with serving(ROUTES) as site:
            assert (await site.ask(line)).status == 400


class TestRoutes:
    async def test_a_handler_sees_the_raw_path_and_query_and_its_variables(self, serving):
        async with serving(ROUTES) as site:
            response = await site.ask("GET /see/a%20b/%C3%A4?x=1%2C2&y\nX-Odd: Value")

        assert orjson.loads(response.body) == [
            "/see/a%20b/%C3%A4",
            "x=1%2C2&y",
            {"what": "a b", "id": "ä"},
            "Value",
        ]

    async def test_a_url_as_target_is_served_like_its_path(self, serving):
        async with serving(ROUTES) as site:
            assert (await site.ask("GET http://anything:80/hello?x=1")).body == b'"hello"'

    async def test_an_unknown_path_is_not_found_in_its_dialect(self, serving):
        async with serving(ROUTES) as site:
            native = await site.ask("GET /api/v1/none\nX-Request-ID: mine")
            postgrest = await site.ask("GET /rest/v1/a/b/c")

        assert native.status == postgrest.status == 404
        assert native.headers["content-type"] == "application/json"
        assert orjson.loads(native.body) == {
            "error": "Not found",
            "code": "NOT_FOUND",
            "message": "Not found",
            "request_id": "mine",
        }
        assert postgrest.headers["content-type"] == "application/json; charset=utf-8"
        assert postgrest.headers["proxy-status"] == "fluxshard; error=PGRST125"
        assert orjson.loads(postgrest.body) == {
            "code": "PGRST125",
            "message": "Invalid path specified in request URL",
            "details": None,
            "hint": None,
        }

    async def test_another_method_is_refused_with_those_that_are_allowed(self, serving):
        async with serving(ROUTES) as site:
            native = await site.ask("DELETE /hello")
            postgrest = await site.ask("DELETE /rest/v1/who")

        assert native.status == postgrest.status == 405
        assert native.headers["allow"] == postgrest.headers["allow"] == "GET, HEAD, OPTIONS"
        assert orjson.loads(native.body)["code"] == "METHOD_NOT_ALLOWED"
        assert orjson.loads(postgrest.body)["message"] == "Unsupported HTTP method: DELETE"

    async def test_options_tells_the_methods(self, serving):
        async with serving(ROUTES) as site:
            response = await site.ask("OPTIONS /hello")

        assert (response.status, response.headers["allow"]) == (200, "GET, HEAD, OPTIONS")

    async def test_a_page_of_an_allowed_origin_can_call(self, serving):
        page = "Origin: http://localhost:5173"
        async with serving(ROUTES) as site:
            preflight = await site.ask(
                f"OPTIONS /api/v1/who\n{page}\nAccess-Control-Request-Method: GET"
            )
            answer = await site.ask(f"GET /hello\n{page}")
            refusal = await site.ask(f"GET /api/v1/who\n{page}")

        assert preflight.status == 204
        assert preflight.headers["access-control-max-age"] == "300"
        for response in (preflight, answer, refusal):
            assert response.headers["access-control-allow-origin"] == "http://localhost:5173"
            assert response.headers["access-control-allow-credentials"] == "true"
            assert response.headers["vary"] == "Origin"


class TestErrors:
    async def test_an_error_that_nobody_foresaw_is_a_500_that_tells_nothing(self, serving):
        async with serving(ROUTES) as site, site.client() as client:
            native = await client.ask("GET /crash")
            postgrest = await client.ask("GET /rest/v1/crash")
            after = await client.ask("GET /hello")

        assert (native.status, postgrest.status, after.status) == (500, 500, 200)
        assert orjson.loads(native.body)["code"] == "INTERNAL_ERROR"
        assert orjson.loads(postgrest.body)["code"] == "PGRSTX00"
        assert b"secret" not in native.body + postgrest.body
        crash = next(fact for fact in site.facts if isinstance(fact, RequestCrashed))
        assert (crash.route, type(crash.error)) == ("/crash", ZeroDivisionError)
        assert crash.request_id == native.headers["x-request-id"]

    async def test_an_unavailable_shard_is_a_503_that_may_be_repeated(self, serving):
        async with serving(ROUTES) as site:
            response = await site.ask("GET /unavailable")

        assert (response.status, response.headers["retry-after"]) == (503, "1")
        assert orjson.loads(response.body)["code"] == "P201"
        assert site.facts[-1].code == "P201"

    async def test_a_refusal_is_told_in_the_dialect_of_its_route(self, serving):
        async with serving(ROUTES) as site:
            native = await site.ask("GET /refused")
            postgrest = await site.ask("GET /rest/v1/refused")

        assert native.status == postgrest.status == 400
        assert orjson.loads(native.body)["code"] == "P102"
        assert orjson.loads(postgrest.body)["code"] == "PGRST127"

    async def test_a_reply_cannot_smuggle_a_header(self, serving):
        async with serving(ROUTES) as site:
            response = await site.ask("GET /splitting")

        assert response.status == 500
        assert "set-cookie" not in response.headers

    async def test_every_request_is_observed_once_with_its_template(self, serving):
        async with serving(ROUTES) as site, site.client() as client:
            await client.ask("GET /see/a/b?x=1\nX-Odd: 1")
            await client.ask("POST /echo", b"abc")
            await client.ask("GET /none")

        observed = [
            (fact.method, fact.route, fact.status, fact.request_bytes, fact.response_bytes)
            for fact in site.facts
        ]
        assert observed[:2] == [
            (
                "GET",
                "/see/{what}/{id}",
                200,
                0,
                len(b'["/see/a/b","x=1",{"what":"a","id":"b"},"1"]'),
            ),
            ("POST", "/echo", 201, 3, 3),
        ]
        assert observed[2][:3] == ("GET", "(no route)", 404)


class TestWhoComesIn:
    async def test_nobody_comes_in_without_a_credential(self, serving):
        async with serving(ROUTES) as site:
            native = await site.ask("GET /api/v1/who")
            postgrest = await site.ask("GET /rest/v1/who")

        assert native.status == postgrest.status == 401
        assert native.headers["www-authenticate"] == "Bearer"
        assert orjson.loads(native.body)["code"] == "AUTHENTICATION_REQUIRED"
        assert orjson.loads(postgrest.body)["code"] == "PGRST302"
        assert orjson.loads(postgrest.body)["message"] == "Anonymous access is disabled"

    async def test_anonymous_access_can_be_enabled_for_postgrest_clients(self, serving):
        async with serving(ROUTES, auth=AuthSettings(anonymous=True)) as site:
            assert (await site.ask("GET /rest/v1/who")).body == b'["anon",null]'
            assert (await site.ask("GET /api/v1/who")).status == 401

    async def test_a_token_says_who_asks_and_for_which_tenant(self, serving):
        async with serving(ROUTES) as site:
            bearer = site.bearer(role="authenticated", tenant_id=7)
            response = await site.ask(f"GET /api/v1/who\n{bearer}")

        assert response.body == b'["authenticated","7"]'

    async def test_a_service_key_may_choose_a_tenant(self, serving):
        async with serving(ROUTES) as site:
            bearer = site.bearer(role="service_role")
            response = await site.ask(f"GET /api/v1/who\n{bearer}\nX-Tenant-ID: 8")

        assert response.body == b'["service_role","8"]'

    async def test_a_user_may_not(self, serving):
        async with serving(ROUTES) as site:
            bearer = site.bearer(role="authenticated", tenant_id=7)
            response = await site.ask(f"GET /api/v1/who\n{bearer}\nX-Tenant-ID: 8")

        assert response.status == 403
        assert orjson.loads(response.body)["code"] == "TENANT_CONTRADICTED"

    async def test_an_expired_token_is_told_so(self, serving):
        async with serving(ROUTES) as site:
            native = await site.ask(f"GET /api/v1/who\n{site.bearer(exp=1)}")
            postgrest = await site.ask(f"GET /rest/v1/who\n{site.bearer(exp=1)}")

        challenge = 'Bearer error="invalid_token", error_description="JWT expired"'
        for response in (native, postgrest):
            assert response.status == 401
            assert response.headers["www-authenticate"] == challenge
        assert orjson.loads(native.body)["error"] == "JWT expired"
        assert orjson.loads(postgrest.body)["code"] == "PGRST303"

    async def test_a_bad_token_is_refused_before_the_body_is_read(self, serving):
        async with serving(ROUTES) as site, site.client() as client:
            client.send(
                b"POST /api/v1/echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n"
                b"Content-Length: 1000\r\n\r\n"
            )
            response = await client.response()

        assert (response.status, response.headers["connection"]) == (401, "close")
