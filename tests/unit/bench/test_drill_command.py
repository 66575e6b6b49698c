"""The commands of drills say what there is, and refuse what there is not."""

import pytest
from click.testing import CliRunner

from bench.cli import command
from bench.drills.events import DRILLS


def asked(*words):
    return CliRunner().invoke(command, words)


def test_the_help_names_every_drill():
    told = asked("drill", "--help").output

    assert [name for name in DRILLS if name not in told.split()] == []


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("drill", "earthquake"), "earthquake"),
        (("drill", "all", "--set", "nonsense"), "nonsense is no NAME=VALUE"),
        (("drill", "all", "--rate", "0"), "--rate"),
        (("sessions", "--delay", "-1"), "--delay"),
        (("neighbours", "--limit", "sometimes"), "sometimes"),
    ],
)
def test_what_there_is_not_is_refused_by_name(words, what):
    result = asked(*words)

    assert result.exit_code == 2
    assert what in result.output


@pytest.mark.parametrize("name", ["drill", "sessions", "neighbours"])
def test_help_alone_is_enough_to_run_it(name):
    result = asked(name, "--help")

    assert result.exit_code == 0
    assert "Ends with 1" in " ".join(result.output.split())
