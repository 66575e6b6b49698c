import asyncio
import io
import logging
import math
import sys

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from router import (
    CommitLost,
    EndpointChanged,
    FreshnessMissed,
    MapAdopted,
    ReadRetried,
    SchemaAdopted,
    StatementErred,
    StatementServed,
)
from server.mapwatch import CatalogFound, CatalogLost, CopyFailed, MapUnusable, WatchFailed
from server.observe.board import Board, mark_ended
from server.observe.console import Console, LoggingBridge
from server.observe.exposition import exposition, joined
from server.observe.facts import AnswerBroken, RequestAnswered, RequestCrashed
from server.observe.families import COUNTERS, GAUGES
from server.observe.lines import Level, Line, line_of
from server.observe.meter import Meter
from server.observe.observatory import Observatory
from server.observe.tally import SIZE_BUCKETS_BYTES, Histogram, Tally
from server.settings import LoggingSettings
from shardmap import ShardId

S0 = ShardId("s0")


def answered(status=200, seconds=0.002, method="GET", route="/api/v1/tables/{table}", code=None):
    return RequestAnswered(method, route, status, seconds, 10, 2000, "r-1", code)


FACTS = (
    answered(),
    RequestCrashed("GET", "/x", "r-1", ZeroDivisionError("oh")),
    StatementServed(S0, "a", replica=True, write=False, seconds=0.01),
    StatementErred(S0, "a", "P202"),
    StatementErred(S0, "a", "sqlstate:23505"),
    ReadRetried(S0, "a", "P202"),
    FreshnessMissed(S0, 0.02),
    EndpointChanged(S0, "a", "down", "connection refused"),
    CommitLost(S0, "a"),
    MapAdopted(3),
    SchemaAdopted("v1", 5),
    CatalogLost("away"),
    CatalogFound(),
    MapUnusable("odd"),
    CopyFailed("full"),
    WatchFailed(ZeroDivisionError("oh")),
    AnswerBroken("/x", "r-1", "P202", 12_345),
)


async def until(condition):
    async with asyncio.timeout(10):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


def samples(text):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


class TestCounting:
    def test_a_histogram_counts_each_value_in_the_first_bucket_that_holds_it(self):
        histogram = Histogram((1.0, 10.0))

        for value in (0.5, 1.0, 1.5, 10.0, 11.0):
            histogram.observe(value)

        assert histogram.cumulative() == [("1.0", 2.0), ("10.0", 4.0), ("+Inf", 5.0)]
        assert (histogram.count, histogram.total) == (5, 24.0)

    def test_size_buckets_are_eight_from_a_hundred_bytes_by_ten(self):
        assert SIZE_BUCKETS_BYTES == (1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)

    def test_every_fact_is_counted_or_passed_over_and_gives_a_line(self):
        meter = Meter(Tally())

        for fact in FACTS:
            meter(fact)
            assert line_of(fact, 1.0).event

    def test_both_families_of_http_metrics_tell_the_same(self):
        tally = Tally()
        meter = Meter(tally)
        for status in (200, 200, 500):
            meter(answered(status))

        found = samples(exposition(tally, {}))

        labels = (("method", "GET"), ("path", "/api/v1/tables/{table}"))
        service = ("service", "fluxshard")
        assert found["http_requests_total", *labels, service, ("status", "200")] == 2
        assert found["fluxbase_http_requests_total", *labels, ("status", "200")] == 2
        assert found["fluxbase_http_requests_total", *labels, ("status", "500")] == 1
        assert (
            found["http_request_duration_seconds_count", *labels, service, ("status", "200")] == 2
        )
        bucket = ("http_request_duration_seconds_bucket", ("le", "0.005"))
        assert found[*bucket, *labels, service, ("status", "200")] == 2
        assert found["fluxbase_http_request_size_bytes_sum", *labels] == 30
        assert found["fluxbase_http_response_size_bytes_sum", *labels, ("status", "200")] == 4000

    def test_statements_are_counted_by_operation_shard_and_endpoint(self):
        tally = Tally()
        Meter(tally)(StatementServed(S0, "a", replica=True, write=False, seconds=0.01))

        found = samples(exposition(tally, {}))

        labels = (("endpoint", "a"), ("operation", "read"), ("shard", "s0"))
        assert found["fluxbase_db_queries_total", *labels] == 1
        assert found["fluxbase_db_query_duration_seconds_sum", *labels] == 0.01

    def test_words_that_clients_choose_do_not_make_labels(self):
        tally = Tally()
        meter = Meter(tally)
        for method in ("SPAM", "EGGS"):
            meter(answered(method=method))
        for state in ("AB123", "AB456"):
            meter(StatementErred(S0, "a", f"sqlstate:{state}"))

        assert [labels[0] for labels in tally.requests] == ["OTHER"]
        assert tally.counts == {("fluxshard_statements_failed", ("s0", "a", "sqlstate:AB")): 2}

    def test_every_counter_and_gauge_is_declared(self):
        tally = Tally()
        meter = Meter(tally)
        for fact in FACTS:
            meter(fact)

        assert {name for name, _ in tally.counts} <= {family.name for family in COUNTERS}
        text = exposition(tally, {}).decode()
        for family in COUNTERS:
            assert f"# TYPE {family.name}_total counter" in text
        for family in GAUGES:
            assert f"# TYPE {family.name} gauge" in text

    def test_a_snapshot_added_to_nothing_is_the_same_tally(self):
        tally = Tally()
        meter = Meter(tally)
        for fact in FACTS:
            meter(fact)

        copy = Tally.of([orjson.loads(orjson.dumps(tally.snapshot()))])

        assert exposition(copy, {}) == exposition(tally, {})

    def test_gauges_of_workers_are_added_or_the_most_or_least_of_them(self):
        first = {
            ("fluxbase_active_connections", ()): 2,
            ("fluxshard_map_epoch", ()): 3,
            ("fluxbase_system_uptime_seconds", ()): 10,
        }
        second = {
            ("fluxbase_active_connections", ()): 5,
            ("fluxshard_map_epoch", ()): 2,
            ("fluxbase_system_uptime_seconds", ()): 4,
        }

        assert joined([first, second]) == {
            ("fluxbase_active_connections", ()): 7,
            ("fluxshard_map_epoch", ()): 2,
            ("fluxbase_system_uptime_seconds", ()): 10,
        }


class TestTheBoard:
    def board(self, directory, number, requests):
        tally = Tally()
        for _ in range(requests):
            Meter(tally)(answered())
        gauges = {("fluxshard_workers", ()): 1.0}
        return Board(tally, lambda: gauges, directory, number)

    def told(self, board):
        found = samples(board.text())
        requests = sum(
            value for (name, *_), value in found.items() if name == "fluxbase_http_requests_total"
        )
        return requests, found["fluxshard_workers",]

    def test_a_worker_alone_tells_its_own_numbers(self):
        assert self.told(self.board(None, 0, 3)) == (3, 1)

    def test_any_worker_tells_the_sum_of_all(self, tmp_path):
        boards = [self.board(tmp_path, number, number + 1) for number in range(3)]
        for board in boards:
            board.publish()

        assert [self.told(board) for board in boards] == [(6, 3)] * 3

    def test_what_an_ended_worker_counted_stays_and_its_gauges_do_not(self, tmp_path):
        first, second, third = (self.board(tmp_path, number, 10) for number in range(3))
        for board in (first, second, third):
            board.publish()

        mark_ended(tmp_path, 0)
        mark_ended(tmp_path, 1)
        mark_ended(tmp_path, 7)

        assert self.told(third) == (30, 1)
        assert sorted(file.name for file in tmp_path.iterdir()) == ["ended.json", "worker-2.json"]

    def test_a_worker_whose_file_is_still_there_is_not_counted_twice(self, tmp_path):
        first, second = (self.board(tmp_path, number, 10) for number in range(2))
        first.publish()
        mark_ended(tmp_path, 0)
        first.publish()

        assert self.told(second) == (20, 1)

    def test_a_full_disk_does_not_end_a_worker(self, tmp_path):
        self.board(tmp_path / "gone", 0, 1).publish()

    async def test_it_publishes_by_itself_and_at_its_end(self, tmp_path):
        async with self.board(tmp_path, 0, 1) as board:
            await until((tmp_path / "worker-0.json").exists)
            for _ in range(2):
                Meter(board._tally)(answered())

        assert self.told(self.board(tmp_path, 1, 0)) == (3, 2)


class Paper:
    """Where a console under test writes."""

    def __init__(self, **settings):
        self.written = []
        self.console = Console(LoggingSettings(**settings), self.written.append)

    @property
    def text(self):
        return b"".join(self.written).decode()


class TestLines:
    @pytest.mark.parametrize(
        ("fact", "level", "event"),
        [
            (answered(), Level.INFO, "request_answered"),
            (answered(status=404), Level.INFO, "request_answered"),
            (answered(status=503, code="P201"), Level.WARN, "request_answered"),
            (answered(seconds=1.0), Level.WARN, "request_answered"),
            (EndpointChanged(S0, "a", "primary", ""), Level.INFO, "endpoint_changed"),
            (EndpointChanged(S0, "a", "down", ""), Level.WARN, "endpoint_changed"),
            (StatementErred(S0, "a", "sqlstate:23505"), Level.DEBUG, "statement_failed"),
            (StatementErred(S0, "a", "P202"), Level.WARN, "statement_failed"),
            (CommitLost(S0, "a"), Level.ERROR, "commit_unknown"),
        ],
    )
    def test_a_fact_has_a_level_and_a_name(self, fact, level, event):
        line = line_of(fact, slow_request_s=1.0)

        assert (line.level, line.event) == (level, event)

    def test_a_line_is_a_time_a_level_an_event_and_fields(self):
        paper = Paper()

        paper.console.say(line_of(answered(503, code="P201"), 1.0))

        assert paper.text.split(" ", 1)[1] == (
            "WARN  request_answered method=GET "
            'route="/api/v1/tables/{table}" status=503 ms=2.0 received=10 sent=2000 '
            "request_id=r-1 code=P201\n"
        )

    def test_a_value_cannot_be_taken_for_another_field_or_line(self):
        paper = Paper()

        paper.console.tell(Level.INFO, "said", text='a b="c"\nERROR forged', flag=True, none="")

        assert paper.text.count("\n") == 1
        assert paper.text.endswith('said text="a b=\\"c\\"\\nERROR forged" flag=true none=""\n')

    def test_a_line_can_be_json(self):
        paper = Paper(console_format="json")

        paper.console.tell(Level.WARN, "said", text="a\nb", number=1.5)

        record = orjson.loads(paper.text)
        assert record.pop("time").endswith("Z")
        assert record == {"level": "warn", "event": "said", "text": "a\nb", "number": 1.5}

    def test_fields_of_every_line_stand_at_its_end(self):
        written = []
        console = Console(LoggingSettings(), written.append, everywhere={"worker": 3})

        console.tell(Level.INFO, "said", text="x")

        assert written[0].endswith(b"said text=x worker=3\n")

    @pytest.mark.parametrize("form", ["console", "json"])
    def test_an_error_is_written_with_its_traceback(self, form):
        paper = Paper(console_format=form)
        try:
            math.sqrt(-1)
        except ValueError as error:
            paper.console.say(line_of(RequestCrashed("GET", "/x", "r-1", error), 1.0))

        assert "math.sqrt(-1)" in paper.text
        assert "request_id" in paper.text

    def test_lines_below_the_level_are_left_out(self):
        paper = Paper(console_level="warn")

        for level in Level:
            paper.console.tell(level, f"at_{level.name.lower()}")

        assert [line.split()[2] for line in paper.text.splitlines()] == ["at_warn", "at_error"]

    def test_debug_lets_everything_through(self):
        paper = Paper(console_level="error", debug=True)

        paper.console.tell(Level.DEBUG, "said")

        assert "said" in paper.text

    def test_nothing_is_written_when_the_console_is_off(self):
        paper = Paper(console_enabled=False)

        paper.console.tell(Level.ERROR, "said")

        assert paper.text == ""

    async def test_lines_of_a_loop_are_written_together(self):
        paper = Paper()

        for number in range(3):
            paper.console.tell(Level.INFO, "said", number=number)
        assert paper.written == []
        await until(lambda: paper.written)

        assert len(paper.written) == 1
        assert paper.text.count("\n") == 3

    async def test_many_lines_do_not_wait(self):
        paper = Paper()

        for _ in range(1000):
            paper.console.tell(Level.INFO, "said")

        assert paper.text.count("\n") == 1000
        assert all(len(part) <= 4096 and part.endswith(b"\n") for part in paper.written)

    def test_what_libraries_log_becomes_a_line(self):
        paper = Paper()
        record = logging.LogRecord("asyncio.x", logging.ERROR, "", 0, "lost %s", ("it",), None)

        LoggingBridge(paper.console).emit(record)

        assert paper.text.endswith('ERROR asyncio_x message="lost it"\n')

    def test_a_standard_error_that_nobody_reads_is_no_error(self, monkeypatch, tmp_path):
        with (tmp_path / "closed").open("w") as closed:
            pass
        monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO()))
        monkeypatch.setattr(sys.stderr, "fileno", lambda: 9999, raising=False)
        assert closed.closed

        Console(LoggingSettings()).tell(Level.INFO, "said")


class TestWhatIsLogged:
    def lines(self, *facts, **settings):
        paper = Paper(**settings)
        logging_settings = LoggingSettings(**settings)
        observatory = Observatory(Meter(Tally()), paper.console, logging_settings)
        for fact in facts:
            observatory(fact)
        return paper.text.count("\n")

    def test_ordinary_requests_and_statements_are_not(self):
        assert self.lines(answered(), answered(404), FACTS[2]) == 0

    def test_failed_and_slow_requests_are(self):
        assert self.lines(answered(500, code="X"), answered(seconds=2)) == 2

    def test_a_server_that_says_it_is_not_ready_has_not_failed(self):
        assert self.lines(answered(503, route="/ready")) == 0

    def test_a_sample_of_the_ordinary_may_be(self):
        assert self.lines(*[answered()] * 10, access_sample=1.0) == 10

    def test_all_are_when_debugging(self):
        assert self.lines(answered(), FACTS[2], debug=True) == 2

    def test_rare_facts_are(self):
        assert self.lines(FACTS[5], FACTS[7], FACTS[9]) == 3


def test_a_line_of_no_fields_has_none():
    paper = Paper()

    paper.console.say(Line(Level.INFO, "said", {}))

    assert paper.text.endswith("INFO  said\n")
