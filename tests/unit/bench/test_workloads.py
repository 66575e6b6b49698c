import itertools
import random
from collections import Counter

import pytest

from bench.errors import WorkloadUnknown
from bench.workloads import WORKLOADS, Size, workload
from bench.workloads.chances import Zipf, scattered


@pytest.mark.parametrize("skew", [0.5, 0.99])
def test_a_zipfian_choice_has_the_chances_that_the_law_gives(skew):
    draws = 60_000
    zipf = Zipf(100, skew, random.Random(1))

    found = Counter(zipf() for _ in range(draws))

    assert set(found) <= set(range(100))
    assert found[0] / draws == pytest.approx(zipf.share(0), rel=0.05)
    assert found[1] / draws == pytest.approx(zipf.share(1), rel=0.05)
    tail = sum(found[item] for item in range(50, 100)) / draws
    assert tail == pytest.approx(sum(zipf.share(item) for item in range(50, 100)), rel=0.1)


@pytest.mark.parametrize("items", [1, 2])
def test_few_items_have_a_zipfian_choice_too(items):
    zipf = Zipf(items, 0.99, random.Random(1))

    assert {zipf() for _ in range(200)} == set(range(items))


def test_a_scattered_choice_is_as_skewed_and_its_popular_items_are_anywhere():
    zipf = Zipf(1_000, 0.99, random.Random(1))
    found = Counter(scattered(Zipf(1_000, 0.99, random.Random(1)), 1_000)() for _ in range(20_000))

    (popular, times), *_ = found.most_common(1)

    assert popular != 0
    assert times / 20_000 >= zipf.share(0) * 0.9


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_same_seed_gives_the_same_operations_and_clients_differ(name):
    def first(client, seed):
        return list(itertools.islice(workload(name, Size(5, 100)).operations(client, seed), 50))

    assert first(0, 1) == first(0, 1)
    assert first(0, 1) != first(1, 1)
    assert first(0, 1) != first(0, 2)


@pytest.mark.parametrize("name", WORKLOADS)
def test_operations_are_of_tenants_whose_tokens_are_known(name):
    chosen = workload(name, Size(5, 100))

    found = {each.tenant for each in itertools.islice(chosen.operations(0, 1), 300)}

    assert found <= set(chosen.tenants)


def test_a_mix_has_its_shares():
    operations = itertools.islice(workload("mixed", Size()).operations(0, 1), 10_000)

    kinds = Counter(each.kind for each in operations)

    assert kinds["read"] / 10_000 == pytest.approx(0.8, abs=0.02)
    assert set(kinds) == {"read", "write"}


def test_a_workload_that_is_not_known_is_refused_with_those_that_are():
    with pytest.raises(WorkloadUnknown) as caught:
        workload("nothing", Size())

    assert "point-read" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "shares"),
    [
        ("ycsb-a", {"read": 0.5, "update": 0.5}),
        ("ycsb-b", {"read": 0.95, "update": 0.05}),
        ("ycsb-c", {"read": 1.0}),
        ("ycsb-d", {"read": 0.95, "insert": 0.05}),
        ("ycsb-e", {"scan": 0.95, "insert": 0.05}),
        ("ycsb-f", {"read": 0.5, "read-modify-write": 0.5}),
    ],
)
def test_ycsb_has_the_mixes_of_its_paper(name, shares):
    operations = itertools.islice(workload(name, Size(5, 100)).operations(0, 1), 5_000)

    kinds = Counter(each.kind for each in operations)

    assert set(kinds) == set(shares)
    for kind, share in shares.items():
        assert kinds[kind] / 5_000 == pytest.approx(share, abs=0.02)


def test_no_two_clients_or_rounds_of_ycsb_insert_the_same_record():
    chosen = workload("ycsb-d", Size(5, 100))
    bodies = [
        each.body
        for client, seed in ((0, 1), (1, 1), (0, 2))
        for each in itertools.islice(chosen.operations(client, seed), 2_000)
        if each.kind == "insert"
    ]
    keys = [body.split('"ycsb_key": ')[1].split(",")[0] for body in bodies]

    assert len(set(keys)) == len(keys) > 100


def test_the_latest_records_of_ycsb_d_are_read_most():
    chosen = workload("ycsb-d", Size(5, 100))
    numbers = Counter(
        int(each.target.rpartition(".")[2])
        for each in itertools.islice(chosen.operations(0, 1), 5_000)
        if each.kind == "read"
    )

    assert sum(times for key, times in numbers.items() if key >= 490) > 5_000 / 3
