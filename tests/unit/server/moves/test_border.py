"""Errors of maps and of servers are errors of moves behind the border, each by its name."""

import asyncpg
import pytest

from server.moves import LeaseLost, MapOpposes, MoveAway, PauseTooLong, ServerRefused
from server.moves.border import first_of, foreign_errors, server_errors
from shardmap import MapConflict, MapRefused, MapUnavailable, Problem


@pytest.mark.parametrize(
    ("error", "expected", "words"),
    [
        (MapRefused([Problem("pins.7", "is moving")]), MapOpposes, "M104 pins.7: is moving"),
        (MapConflict(3, 4), MapOpposes, "M103 the change was made from epoch 3"),
        (MapUnavailable("catalog: no answer"), MoveAway, "M105 catalog: no answer"),
        (asyncpg.InsufficientPrivilegeError("permission denied"), ServerRefused, "42501: perm"),
        (asyncpg.DiskFullError("no space"), ServerRefused, "53100: no space"),
    ],
)
def test_what_the_map_or_a_server_refuses_is_an_error_of_the_move(error, expected, words):
    with pytest.raises(expected, match=words), foreign_errors():
        raise error


def test_errors_of_moves_and_mistakes_pass_as_they_are():
    for error in (PauseTooLong("writers"), ZeroDivisionError("a mistake")):
        with pytest.raises(type(error)) as caught, foreign_errors():
            raise error
        assert caught.value is error


def test_a_command_names_errors_of_maps_itself():
    with pytest.raises(MapConflict), server_errors():
        raise MapConflict(3, 4)


def test_of_several_errors_the_one_that_led_to_the_others_is_told():
    lost = LeaseLost("taken over")
    group = ExceptionGroup("", [PauseTooLong("a"), ExceptionGroup("", [lost])])

    assert first_of(group, LeaseLost) is lost
    assert str(first_of(group)) == "a"
