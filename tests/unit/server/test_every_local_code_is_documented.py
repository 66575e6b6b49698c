from pathlib import Path

import pytest

from bench.errors import BenchError
from server.demo.errors import DemoError
from server.embedded import EmbeddedError
from server.failover import FailoverError
from server.joining import JoinError
from server.migrate.errors import MigrateError
from server.moves import MoveError
from server.tenants.errors import TenantError

DOCS = (Path(__file__).parents[3] / "docs" / "errors.md").read_text("utf-8")


def descendants(error):
    for child in error.__subclasses__():
        yield child
        yield from descendants(child)


@pytest.mark.parametrize(
    "base",
    [
        EmbeddedError,
        DemoError,
        MigrateError,
        BenchError,
        FailoverError,
        MoveError,
        JoinError,
        TenantError,
    ],
)
def test_every_code_is_in_the_list_of_errors(base):
    codes = [error.code for error in descendants(base)]

    assert codes
    assert [code for code in codes if f"| `{code}` |" not in DOCS] == []


@pytest.mark.parametrize(
    "base",
    [
        EmbeddedError,
        DemoError,
        MigrateError,
        BenchError,
        FailoverError,
        MoveError,
        JoinError,
        TenantError,
    ],
)
def test_no_code_has_two_meanings(base):
    codes = [error.code for error in descendants(base) if "code" in vars(error)]

    assert len(codes) == len(set(codes))
