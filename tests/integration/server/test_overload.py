"""A worker with more requests than CPU: who is answered, who is turned away, and how."""

import orjson

from server.errors import Dialect
from server.exchange import Reply
from server.observe.facts import RequestAnswered
from server.routes import Entry, Route


async def hello(_request):
    return Reply(200, b'"hello"', "application/json")


ROUTES = (
    Route("GET", "/hello", hello),
    Route("GET", "/rest/v1/hello", hello, dialect=Dialect.POSTGREST),
    Route("GET", "/health", hello, entry=Entry.OPEN),
)


async def test_without_lag_nobody_takes_turns(serving):
    async with serving(ROUTES) as site:
        site.turnstile._queue.most = 0

        answer = await site.ask(f"GET /hello\n{site.bearer()}")

        assert (answer.status, site.turnstile.engaged) == (200, False)


async def test_those_who_take_turns_are_answered_all_the_same(serving):
    async with serving(ROUTES) as site:
        site.turnstile.engaged = True

        async with site.client() as client:
            client.send(f"GET /hello HTTP/1.1\r\nHost: x\r\n{site.bearer()}\r\n\r\n" * 50)
            statuses = [(await client.response()).status for _ in range(50)]

        assert statuses == [200] * 50
        assert site.turnstile.shed == 0


async def test_who_is_turned_away_is_told_when_to_come_back_and_health_still_answers(serving):
    async with serving(ROUTES) as site:
        site.turnstile.engaged = True
        site.turnstile._queue.most = 0

        native = await site.ask(f"GET /hello\n{site.bearer()}")
        postgrest = await site.ask(f"GET /rest/v1/hello\n{site.bearer()}")
        health = await site.ask("GET /health")
        unknown = await site.ask("GET /hello")

        assert (native.status, native.headers["retry-after"]) == (503, "1")
        assert orjson.loads(native.body)["code"] == "OVERLOADED"
        assert (postgrest.status, postgrest.headers["retry-after"]) == (503, "1")
        assert orjson.loads(postgrest.body)["code"] == "OVERLOADED"
        assert (health.status, unknown.status) == (200, 401)
        answered = [fact for fact in site.facts if isinstance(fact, RequestAnswered)]
        assert [fact.code for fact in answered][:2] == ["OVERLOADED"] * 2
        assert site.turnstile.shed == 2
