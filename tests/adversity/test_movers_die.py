"""A tenant moves to and fro under load while movers are killed and stopped; `moves_kills.py` does more of it."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from server.moves import Places

_spec = importlib.util.spec_from_file_location(
    "moves_kills", Path(__file__).with_name("moves_kills.py")
)
moves_kills = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = moves_kills
_spec.loader.exec_module(moves_kills)


@pytest.mark.parametrize(
    ("signal", "statements"),
    [("KILL", 60), ("KILL", 150), ("STOP", 165)],
)
async def test_a_mover_that_dies_or_stops_costs_no_write_and_leaves_nothing(
    databases, signal, statements
):
    first = moves_kills.map_of(databases.endpoints, "c-movers")
    await moves_kills.furnish(first, databases.url)
    kills = moves_kills.MoveKills(Places(first, os.environ))

    _, load = await kills.move(statements, signal)

    assert kills.wrong == []
    assert load.history.acknowledged() > 0
