import re
import struct

import pytest

from bench.compare import compare
from bench.report import page, plots, publish, table
from bench.report.plots import comparison_png
from bench.result import Event, Result, Round, Run
from bench.summary import Bucket, Latencies

PNG = b"\x89PNG\r\n\x1a\n"


def a_result(**more):
    one = Round(
        seed=1,
        seconds=0.3,
        latencies={"read": Latencies.of([0.001 * n for n in range(1, 200)])},
        errors={"503 P202": 2},
        served={"shard_0/b (replica)": 199},
        accounts={"due": 201, "dropped": 0},
        series=(
            Bucket(0.0, 50, 0, 1.0, 2.0, 3.0),
            Bucket(0.1, 0, 2, None, None, None),
            Bucket(0.2, 149, 0, 1.0, 2.0, 3.0),
        ),
        events=(Event(0.1, "killed"), Event(0.2, "<back>")),
        spent={"seconds": {"fluxshard": 0.1}, "box_busy": 0.4},
    )
    runs = tuple(
        Run(
            name=name, parameters={"workload": "x"}, world={"limit_in_words": "none"}, rounds=(one,)
        )
        for name in ("first", "second")
    )
    return Result(command="run", title="a <title>", runs=runs, notes=("read <this>",), **more)


REPLICAS = {
    "replicas": {
        str(n): {"saturated_per_s": 100.0 * n, "kept_per_s": 90.0 * n, "box_busy": 0.3}
        for n in (1, 2, 4)
    }
}


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({}, {"throughput", "latency", "timeline"}),
        ({"figures": REPLICAS}, {"replicas", "latency", "timeline"}),
        (
            {"details": {"staleness": {"any": [0, 5, 9]}}},
            {"throughput", "latency", "timeline", "staleness"},
        ),
    ],
    ids=["runs", "replicas", "staleness"],
)
def test_what_a_result_has_is_drawn_and_nothing_else(more, names):
    drawn = plots(a_result(**more))

    assert set(drawn) == names
    for image in drawn.values():
        assert image.startswith(PNG)
        width, height = struct.unpack(">II", image[16:24])
        assert width > 600
        assert height > 200


def test_a_result_without_operations_has_no_plots():
    assert plots(Result(command="run", title="", runs=())) == {}


def test_the_page_needs_nothing_else_and_holds_no_text_unescaped():
    result = a_result(figures=REPLICAS)

    text = page(result, table(result), {"x": PNG})

    assert "data:image/png;base64," in text
    assert "a &lt;title&gt;" in text
    assert "<title>a &lt;" in text
    assert "read <this>" not in text
    assert not re.search(r"(src|href)=.(?!data:)", text)


def test_the_table_says_who_answered_what_failed_and_how_busy_the_box_was():
    text = table(a_result(figures={"peers": {"pgbench": {"per_s": 1234.5, "ratio": None}}}))

    for words in ("limit none", "503 P202 2", "(replica) 199", "201 due", "40% busy", "1,234"):
        assert words in text


def test_everything_is_written_into_the_directory(tmp_path):
    publish(a_result(), tmp_path / "new")

    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {
        "result.json", "table.txt", "index.html", "throughput.png", "latency.png", "timeline.png",
    }  # fmt: skip


def test_a_comparison_can_be_drawn():
    result = a_result()

    assert comparison_png(compare(result, result), ("a", "b")).startswith(PNG)
