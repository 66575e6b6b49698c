"""What the environment says, as the first map and as warnings later."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from shardmap import (
    GivenCluster,
    GivenServers,
    InvalidMap,
    KeyType,
    Tls,
    Unsharded,
    adopted,
    differences,
    first_from,
    propose,
    refusals,
    succeed,
)

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("shardmap_maps", HERE / "maps.py")
maps = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(maps)
A, B, C = maps.A, maps.B, maps.C

ONE = GivenCluster(
    GivenServers(
        "postgres://flux:s3cret@db0:5433/app?sslmode=require",
        "DATABASE_URL",
        ("replica1:5432", "replica2"),
        "FLUXBASE_DATABASE_READ_REPLICAS",
    ),
    (),
    KeyType.INTEGER,
)
TWO = replace(
    ONE,
    shards=(
        GivenServers("postgres://db1/app", "FLUXBASE_DATABASE_SHARD_0", ("db1b",), "SHARD_0_READ"),
        GivenServers("postgres://own:s3cret@db2/app", "FLUXBASE_DATABASE_SHARD_1"),
    ),
)


def without(given, what):
    return replace(given, catalog=replace(given.catalog, **what))


def test_one_database_is_the_catalog_and_the_only_shard():
    seeded = first_from(ONE, "c1")

    shard = seeded.shards[A]
    assert (seeded.epoch, seeded.cluster_id) == (1, "c1")
    assert seeded.default_placement == Unsharded()
    assert seeded.slots == (A,) * 4096
    assert shard.primary.address == seeded.catalog.address == ("db0", 5433, "app")
    assert (shard.primary.name, seeded.catalog.name) == ("shard_0-a", "catalog-a")
    assert [replica.address for replica in shard.replicas] == [
        ("replica1", 5432, "app"),
        ("replica2", 5432, "app"),
    ]
    assert {replica.credentials for replica in shard.endpoints} == {"env:DATABASE_URL"}
    assert {replica.tls for replica in shard.endpoints} == {Tls.REQUIRE}


def test_shards_get_their_slots_from_the_ring_and_no_table_is_placed():
    seeded = first_from(TWO, "c1")

    assert seeded.slots == propose({A: 1, B: 1})
    assert seeded.default_placement is None
    assert seeded.catalog.name == "catalog-a"
    assert [replica.host for replica in seeded.catalog_replicas] == ["replica1", "replica2"]


def test_a_shard_url_without_a_user_takes_the_catalogs_login():
    first, second = first_from(TWO, "c1").shards.values()

    assert (first.primary.user, first.primary.credentials) == ("flux", "env:DATABASE_URL")
    assert (second.primary.user, second.primary.credentials) == (
        "own",
        "env:FLUXBASE_DATABASE_SHARD_1",
    )
    assert first.replicas[0].credentials == "env:DATABASE_URL"


def test_no_password_gets_into_the_map_nor_into_a_repr():
    assert "s3cret" not in repr(first_from(TWO, "c1"))
    assert "s3cret" not in repr(TWO)


def test_eleven_shards_are_seeded_in_order_of_id():
    shards = tuple(
        GivenServers(f"postgres://u@db{number}/app", f"SHARD_{number}") for number in range(11)
    )

    seeded = first_from(replace(ONE, shards=shards), "c1")

    assert list(seeded.shards) == sorted(seeded.shards)
    assert seeded.shards["shard_10"].primary.host == "db10"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            without(ONE, {"url": "postgres://db0/app"}),
            "DATABASE_URL: the address names no user",
        ),
        (
            without(ONE, {"url": "postgres://flux@db0"}),
            "DATABASE_URL: the address names no database",
        ),
        (
            without(ONE, {"url": "postgres://flux@db0,db1/app"}),
            "DATABASE_URL: several hosts in one address are not supported",
        ),
        (
            without(ONE, {"replicas": ("a", "b:x")}),
            "FLUXBASE_DATABASE_READ_REPLICAS[1]: the port is no number",
        ),
        (
            without(ONE, {"replicas": ("postgres://flux:other@r/app",)}),
            "FLUXBASE_DATABASE_READ_REPLICAS[0]: a replica in this list logs in as its primary",
        ),
        (
            without(ONE, {"replicas": ("postgres://reader@r/app",)}),
            "FLUXBASE_DATABASE_READ_REPLICAS[0]: a replica in this list logs in as its primary",
        ),
    ],
)
def test_a_problem_is_named_by_its_variable(given, problem):
    with pytest.raises(InvalidMap) as caught:
        first_from(given, "c1")

    assert [str(one).startswith(problem) for one in caught.value.problems] == [True]


def test_a_replica_may_repeat_its_primarys_login():
    given = without(ONE, {"replicas": ("postgres://flux:s3cret@r:6432/app?sslmode=disable",)})

    replica = first_from(given, "c1").catalog_replicas[0]

    assert (replica.address, replica.tls) == (("r", 6432, "app"), Tls.DISABLE)


def test_two_shards_at_one_address_are_refused():
    shards = (TWO.shards[0], replace(TWO.shards[1], url="postgres://own@db1/app"))

    with pytest.raises(InvalidMap, match="is the same database as"):
        first_from(replace(TWO, shards=shards), "c1")


def test_the_environment_that_seeded_a_map_does_not_contradict_it():
    for given in (ONE, TWO):
        assert differences(first_from(given, "c1"), given) == ()


def test_what_the_environment_leaves_out_is_no_contradiction():
    stored = first_from(TWO, "c1")
    silent = replace(ONE, catalog=replace(ONE.catalog, replicas=()))

    assert differences(stored, silent) == ()


def test_contradictions_are_told_with_both_sides():
    stored = first_from(TWO, "c1")
    shards = (
        replace(TWO.shards[0], url="postgres://db9:6432/app", replicas=("db8", "db1b")),
        TWO.shards[1],
        GivenServers("postgres://u@db3/app", "FLUXBASE_DATABASE_SHARD_2"),
    )
    given = replace(TWO, shards=shards, key_type=KeyType.UUID)

    hint = "; the stored map counts; `fluxshard map plan --from-env` proposes the change"
    assert [str(problem) for problem in differences(stored, given)] == [
        "FLUXSHARD_TENANT_KEY_TYPE: is uuid, and the tenant keys of the stored map are integer",
        (
            "FLUXBASE_DATABASE_SHARD_0: is flux@db9:6432/app, and the primary of shard_0 in the "
            f"stored map is flux@db1:5432/app{hint}"
        ),
        (
            "SHARD_0_READ: is flux@db8:5432/app, flux@db1b:5432/app, and the replicas of shard_0 in "
            f"the stored map are flux@db1b:5432/app{hint}"
        ),
        f"FLUXBASE_DATABASE_SHARD_2: shard_2 is not in the stored map{hint}",
    ]


def test_adopting_takes_addresses_and_keeps_everything_else():
    stored = first_from(TWO, "c1")
    tuned = replace(stored.shards[A].replicas[0], name="near", zone="eu-1a", credentials="file:/p")
    stored = replace(
        stored, shards={**stored.shards, A: replace(stored.shards[A], replicas=(tuned,), weight=5)}
    )
    shards = (
        replace(TWO.shards[0], url="postgres://db9/app", replicas=("db8", "db1b")),
        TWO.shards[1],
        GivenServers("postgres://u@db3/app", "FLUXBASE_DATABASE_SHARD_2"),
    )

    new = adopted(stored, replace(TWO, shards=shards))

    shard = new.shards[A]
    assert shard.weight == 5
    assert (shard.primary.host, shard.primary.name) == ("db9", "shard_0-a")
    assert (shard.replicas[0].host, shard.replicas[0].name) == ("db8", "shard_0-b")
    assert shard.replicas[1] == tuned
    assert new.shards[B] == stored.shards[B]
    assert new.shards[C].primary.host == "db3"
    assert new.slots == stored.slots
    assert refusals(stored, succeed(stored, new)) == ()


def test_adopting_a_replica_as_primary_swaps_the_two():
    stored = first_from(TWO, "c1")
    shards = (replace(TWO.shards[0], url="postgres://db1b/app", replicas=("db1",)), TWO.shards[1])

    shard = adopted(stored, replace(TWO, shards=shards)).shards[A]

    assert [(one.host, one.name) for one in shard.endpoints] == [
        ("db1b", "shard_0-b"),
        ("db1", "shard_0-a"),
    ]


def test_adopting_without_a_list_of_replicas_keeps_those_there_are():
    stored = first_from(TWO, "c1")
    shards = (replace(TWO.shards[0], url="postgres://db9/app", replicas=()), TWO.shards[1])

    shard = adopted(stored, replace(TWO, shards=shards)).shards[A]

    assert [one.host for one in shard.endpoints] == ["db9", "db1b"]


def test_adopting_shards_into_an_unsharded_cluster_is_refused_by_name():
    stored = first_from(ONE, "c1")

    with pytest.raises(InvalidMap, match="default_placement: unsharded is for maps with one shard"):
        adopted(stored, TWO)


def test_a_listed_replica_may_have_a_zone_and_a_weight():
    listed = (
        "r1:5432?zone=eu-1a&weight=2",
        "postgres://r2/app?sslmode=require&zone=eu%201b",
        "r3?weight=0",
    )

    shard = first_from(without(ONE, {"replicas": listed}), "c1").shards[A]

    assert [(one.host, one.zone, one.weight) for one in shard.replicas] == [
        ("r1", "eu-1a", 2),
        ("r2", "eu 1b", 1),
        ("r3", None, 0),
    ]
    assert shard.replicas[1].tls is Tls.REQUIRE


@pytest.mark.parametrize(
    "text",
    [
        "r1?zone",
        "r1?zone=",
        "r1?zone=a&zone=b",
        "r1?weight=-1",
        "r1?weight=101",
        "r1?port=5",
    ],
)
def test_what_is_no_zone_or_weight_of_a_listed_replica_is_refused(text):
    with pytest.raises(InvalidMap):
        first_from(without(ONE, {"replicas": (text,)}), "c1")


def test_adopting_takes_zones_and_weights_that_are_given_and_keeps_others():
    stored = first_from(without(ONE, {"replicas": ("r1?zone=a&weight=3", "r2?zone=b")}), "c1")

    changed = adopted(stored, without(ONE, {"replicas": ("r1?zone=c", "r2?weight=2")}))

    assert [(one.zone, one.weight) for one in changed.shards[A].replicas] == [("c", 3), ("b", 2)]
