import random
from collections import Counter

import pytest

from bench.tpcc.draws import MIX, Remote, Terminal, last_name
from bench.tpcc.tables import Scale

DRAWS = 20_000


def terminal(remote=Remote(), warehouses=8):  # noqa: B008 - frozen
    return Terminal(3, Scale(warehouses, 1_000, 300), remote, random.Random(1))


def test_transactions_have_the_shares_of_the_standard():
    one = terminal()

    found = Counter(one.kind() for _ in range(DRAWS))

    for kind, share in MIX.items():
        assert found[kind] / DRAWS == pytest.approx(share / 100, abs=0.01)


@pytest.mark.parametrize(("lines", "payments"), [(1, 15), (15, 1)])
def test_remote_warehouses_are_as_frequent_as_asked_for(lines, payments):
    one = terminal(Remote(lines, payments))
    drawn = [line for _ in range(2_000) for line in one.lines()]

    remote = sum(line.supplier != 3 for line in drawn) / len(drawn)
    paying = sum(one.paying_warehouse() != 3 for _ in range(DRAWS)) / DRAWS

    assert remote == pytest.approx(lines / 100, rel=0.15)
    assert paying == pytest.approx(payments / 100, rel=0.15)
    assert {line.supplier for line in drawn} == set(range(1, 9))


def test_one_warehouse_has_no_remote_ones():
    one = Terminal(1, Scale(1), Remote(100, 100), random.Random(1))

    assert one.paying_warehouse() == 1
    assert {line.supplier for line in one.lines()} == {1}


def test_an_order_has_5_to_15_different_items_in_the_order_of_locks():
    one = terminal(Remote(50, 0))

    for _ in range(300):
        lines = one.lines()
        assert 5 <= len(lines) <= 15
        assert len({line.item for line in lines}) == len(lines)
        assert lines == sorted(lines, key=lambda line: (line.supplier, line.item))
        assert all(1 <= line.item <= 1_000 for line in lines)


def test_last_names_are_those_of_the_standard():
    assert last_name(371) == "PRICALLYOUGHT"
    assert last_name(40) == "BARPRESBAR"
