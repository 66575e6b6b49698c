import importlib.util

import pytest
from click.testing import CliRunner

from bench.cli import COMMANDS, command


def invoked(*words):
    return CliRunner().invoke(command, words)


def test_the_help_names_every_command():
    result = invoked("--help")

    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"\n  {name}" in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_of_its_own(name):
    result = invoked(name, "--help")

    assert result.exit_code == 0
    assert "Usage" in result.output


def test_without_the_extra_every_command_says_what_to_install(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "hdrh" else found(name)
    )

    helped, run = invoked("--help"), invoked("run", "point-read", "--seconds", "1")

    assert helped.exit_code == 0
    assert run.exit_code == 1
    assert "B101: benchmarks need hdrhistogram" in run.output
    assert "pip install 'fluxshard[bench]'" in run.output


@pytest.mark.parametrize(
    "words",
    [
        ("run", "no-such-workload"),
        ("run", "point-read", "--limit", "fast"),
        ("run", "point-read", "--open", "0"),
        ("replicas", "--replicas", "x"),
        ("replicas", "--replicas", "0"),
        ("peers", "oracle"),
    ],
)
def test_what_is_not_understood_is_refused_before_anything_starts(words):
    assert invoked(*words).exit_code == 2


def test_a_file_that_is_no_result_is_refused_by_its_code(tmp_path):
    (tmp_path / "a.json").write_text("{}")

    result = invoked("compare", str(tmp_path / "a.json"), str(tmp_path / "a.json"))

    assert result.exit_code == 1
    assert "B105" in result.output
