"""Map documents: what they mean, and everything that can be wrong with them."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from shardmap import (
    SLOTS,
    Durability,
    InvalidMap,
    KeyType,
    Pin,
    Place,
    Pooling,
    Sharded,
    Tls,
    Unsharded,
    content_hash,
    propose,
    read_document,
    read_map,
    slot_of,
    write_document,
    write_json,
    write_yaml,
)

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("shardmap_maps", HERE / "maps.py")
maps = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(maps)
A, B, C = maps.A, maps.B, maps.C

MINIMAL = """
version: 1
cluster_id: demo
tenant_key: {type: integer}
catalog: {primary: postgres://flux@db0/app}
shards:
  shard_0: {primary: postgres://flux@db1/app}
  shard_1: {primary: postgres://flux@db2/app}
"""


def problems(text, previous=None):
    with pytest.raises(InvalidMap) as caught:
        read_map(text, previous)
    return [str(problem) for problem in caught.value.problems]


@settings(max_examples=60, deadline=None)
@given(maps.shard_maps())
def test_any_map_is_read_back_from_its_document(shard_map):
    assert read_document(write_document(shard_map)) == shard_map
    assert read_map(write_yaml(shard_map)) == shard_map
    assert read_map(write_json(shard_map)) == shard_map


@settings(max_examples=20, deadline=None)
@given(maps.shard_maps())
def test_maps_that_say_the_same_have_the_same_hash(shard_map):
    again = read_map(write_yaml(shard_map))

    assert content_hash(again) == content_hash(shard_map)
    assert content_hash(replace(again, epoch=again.epoch + 1)) != content_hash(shard_map)


def test_a_first_map_may_leave_its_slots_to_the_ring():
    shard_map = read_map(MINIMAL)

    assert shard_map.slots == propose({A: 1, B: 1})
    assert shard_map.epoch == 0
    assert shard_map.tables == {}
    assert shard_map.default_placement is None


def test_a_later_map_may_leave_slots_and_epochs_as_they_are():
    tenant = "42"
    previous = maps.two_shards(slot_epochs={7: 3}, pins={tenant: Pin(A, 4), "43": Pin(B, 2)})

    shard_map = read_map(MINIMAL + f'pins: {{"{tenant}": shard_0}}', previous)

    assert shard_map.slots == previous.slots
    assert shard_map.slot_epochs == {7: 3}
    assert shard_map.pins == {tenant: Pin(A, 4)}


def test_slots_that_are_left_out_cannot_be_those_of_a_shard_that_is_gone():
    previous = maps.two_shards(
        shards={A: maps.shard(A), C: maps.shard(C)}, slots=(A,) * 4000 + (C,) * 96
    )

    assert problems(MINIMAL, previous) == [
        "slots: is missing, and epoch 5 gives 96 slots to shard_2, which the document does not have"
    ]


def test_a_shard_with_all_its_settings_is_read():
    shard_map = read_map("""
version: 1
cluster_id: demo
epoch: 9
tenant_key: {type: uuid}
hash: blake2b-8/4096
catalog: {primary: {url: "postgres://db0/app?host=/run/pg&port=15400", user: flux}}
shards:
  shard_0:
    primary:
      {name: big, host: db1, port: 6432, database: app, user: flux, credentials: "file:/pw",
       tls: require, zone: eu-1a, weight: 3}
    replicas:
      - db2:6433
      - {host: db3, credentials: null, tls: null, user: reader}
      - postgres://other@[::1]/copy?sslmode=disable
    weight: 7
    durability: quorum
    region: eu
tables: {public.orders: {sharded: tenant_id}, public.notes: unsharded}
default_placement: unsharded
""")

    shard = shard_map.shards[A]
    assert (shard_map.catalog.host, shard_map.catalog.port) == ("/run/pg", 15400)
    assert shard_map.key_type is KeyType.UUID
    assert (shard.weight, shard.durability, shard.region) == (7, Durability.QUORUM, "eu")
    assert (shard.primary.name, shard.primary.zone, shard.primary.weight) == ("big", "eu-1a", 3)
    first, second, third = shard.replicas
    assert (first.name, first.host, first.port) == ("shard_0-b", "db2", 6433)
    assert (first.database, first.user) == ("app", "flux")
    assert (first.credentials, first.tls, first.weight) == ("file:/pw", Tls.REQUIRE, 1)
    assert (second.port, second.user, second.credentials, second.tls) == (
        5432,
        "reader",
        None,
        None,
    )
    assert (third.host, third.user, third.database, third.tls) == (
        "::1",
        "other",
        "copy",
        Tls.DISABLE,
    )
    assert shard_map.tables == {"public.orders": Sharded("tenant_id"), "public.notes": Unsharded()}
    assert shard_map.default_placement == Unsharded()


def test_every_problem_of_a_document_is_reported_with_its_path():
    assert problems("""
versio: 1
cluster_id: "a b"
epoch: 0
tenant_key: {type: int}
hash: md5
catalog: {primary: {host: "a b", port: 70000, password: s3cret, credential: y}}
shards:
  Shard_0: {primary: "postgres://u:s3cret@h/db"}
  shard_1: {primary: {hots: a}, replicas: [1, "a:b", ""], weight: x}
  shard_2:
  catalog: {}
slots: {shard_1: "0-10,5", shard_7: "4-6", shard_2: "x", Shard_0: 5000}
slot_epochs: {a: 1, 2: "1,1"}
pins: {x: shard_9, "8": {shrad: shard_1}, "7": []}
tables: {orders: sharded, public.a: refrence, public.b: {sharded: }, public.c: unsharded,
         "public.\\"d\\"": global}
default_placement: global
""") == [
        "version: is missing",
        "cluster_id: must be letters, digits, '.', '_' and '-', at most 63, not \"a b\"",
        "epoch: must be an integer from 1 to 4611686018427387903, not 0",
        "tenant_key.type: must be one of integer, uuid, text; did you mean integer?",
        "hash: must be blake2b-8/4096, the only one that this release knows",
        (
            "catalog.primary.password: a map holds no passwords; name its place instead, as "
            "credentials: env:NAME or file:/path"
        ),
        "catalog.primary.host: the host has characters that no host name has",
        "catalog.primary.port: must be an integer from 1 to 65535, not 70000",
        "catalog.primary.credential: is unknown here; did you mean credentials?",
        "shards.Shard_0: must be a lower-case letter, then a-z, 0-9 and _, at most 63 in all",
        (
            "shards.Shard_0.primary: the url holds a password; name its place instead, as "
            "credentials: env:NAME or file:/path"
        ),
        "shards.shard_1.primary.hots: is unknown here; did you mean host?",
        "shards.shard_1.replicas[0]: must be a mapping of names to values, not 1",
        "shards.shard_1.replicas[1]: the port is no number from 1 to 65535",
        "shards.shard_1.replicas[2]: the address names no host",
        'shards.shard_1.weight: must be an integer from 0 to 100, not "x"',
        "shards.shard_2: must be a mapping of names to values, not nothing",
        "shards.catalog: is the name of the catalog and cannot be a shard's",
        "shards.catalog.primary: is missing",
        "slots.shard_1: 1 slot is listed twice: 5",
        'slots.shard_7: there is no shard "shard_7"; did you mean shard_2?',
        "slots.shard_7: 3 slots are of shard_1 as well: 4-6",
        'slots.shard_2: "x" is no slot or range of slots such as 0-511',
        "slots.Shard_0: slot 5000 is beyond the last one, 4095",
        "slots: 4085 slots are of no shard: 11-4095",
        "slot_epochs.a: the key must be an epoch, counted from 1",
        "slot_epochs.2: slot 1 has two epochs",
        "slot_epochs.2: slot 1 has two epochs",
        'pins.x: there is no shard "shard_9"; did you mean shard_2?',
        "pins.8.shard: is missing",
        "pins.8.shrad: is unknown here; did you mean shard?",
        "pins.7: must be a shard, or {shard: …, epoch: …}",
        "tables.orders: a table is written with its schema: public.orders",
        (
            "tables.orders: must be {sharded: COLUMN}, reference, global or (with one shard) "
            "unsharded"
        ),
        (
            "tables.public.a: must be {sharded: COLUMN}, reference, global or (with one shard) "
            "unsharded; did you mean reference?"
        ),
        "tables.public.b.sharded: is missing",
        "tables.public.c: unsharded is for maps with one shard, not 4",
        'tables."public.\\"d\\"": a table is written as PostgreSQL stores it, without quotes',
        "default_placement: must be unsharded, or left out",
        "versio: is unknown here; did you mean version?",
    ]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ('pins: {"042": shard_1}', ["pins.042: the canonical form of this key is 42"]),
        ("pins: {x: shard_1}", ['pins.x: invalid input syntax for type integer: "x"']),
        (
            'slots: {shard_0: "0-4095", shard_1: "4095"}',
            ["slots.shard_1: 1 slot is of shard_0 as well: 4095"],
        ),
        ('slots: {shard_0: "0-4094"}', ["slots: 1 slot is of no shard: 4095"]),
        (
            "default_placement: unsharded",
            ["default_placement: unsharded is for maps with one shard, not 2"],
        ),
        ("version: 2", ["version: the key is there twice (line 9)"]),
    ],
)
def test_one_problem_is_reported_alone(change, problem):
    assert problems(MINIMAL + change) == problem


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("version: 1", "version: 2", ["version: must be an integer from 1 to 1, not 2"]),
        (
            "postgres://flux@db2/app",
            "postgres://other@db1/app",
            ["shards.shard_1.primary: is the same database as shards.shard_0.primary"],
        ),
        (
            "{primary: postgres://flux@db2/app}",
            "{primary: {url: postgres://flux@db2/app, name: shard_0-a}}",
            ["shards.shard_1.primary: its name shard_0-a is that of shards.shard_0.primary too"],
        ),
        (
            "{primary: postgres://flux@db2/app}",
            "{primary: {url: postgres://flux@db2/app, host: db3}}",
            ["shards.shard_1.primary.host: is given by the url as well"],
        ),
        (
            "postgres://flux@db2/app",
            "postgres://db2",
            [
                "shards.shard_1.primary.database: is missing",
                "shards.shard_1.primary.user: is missing",
            ],
        ),
        (
            "{primary: postgres://flux@db2/app}",
            "{primary: {url: postgres://flux@db2/app, credentials: s3cret}}",
            [
                ("shards.shard_1.primary.credentials: must be env:NAME or file:/path; "
                "a map holds no passwords")
            ],
        ),
        ("shards:", "shards: {}\nx:", [
            "shards: must have at least one shard",
            "x: is unknown here",
        ]),
    ],
)  # fmt: skip
def test_one_wrong_value_is_reported_alone(old, new, problem):
    assert problems(MINIMAL.replace(old, new)) == problem


def test_a_shard_may_be_the_catalogs_database():
    shard_map = read_map(MINIMAL.replace("db1", "db0"))

    assert shard_map.shards[A].primary.address == shard_map.catalog.address


def test_no_problem_shows_a_secret():
    text = MINIMAL.replace("postgres://flux@db2/app", "postgres://flux:s3cret@db2/app")

    assert "s3cret" not in " ".join(problems(text))


def test_with_no_weight_at_all_the_ring_cannot_fill_the_slots():
    text = MINIMAL.replace("/app}", "/app, weight: 0}").replace(
        "catalog: {primary: postgres://flux@db0/app, weight: 0}",
        "catalog: {primary: postgres://flux@db0/app}",
    )

    assert problems(text) == ["slots: cannot be filled: no shard has a weight above 0"]


@pytest.mark.parametrize("text", ["", "[]", "x", "1"])
def test_a_document_is_a_mapping(text):
    assert len(problems(text)) == 1


def test_more_replicas_than_letters_are_refused():
    replicas = ", ".join(f"r{number}" for number in range(26))
    text = MINIMAL.replace("db2/app", f"db2/app, replicas: [{replicas}]")

    assert problems(text) == ["shards.shard_1.replicas: are more than 25"]


def test_the_owner_of_a_tenant_is_its_pin_else_its_slot():
    shard_map = maps.two_shards(pins={"42": Pin(A, 3)}, slot_epochs={slot_of("7"): 2})

    assert slot_of("42") >= SLOTS // 2
    assert shard_map.owner("42") == A
    assert shard_map.owner("7") == B
    assert shard_map.unit_epoch(shard_map.unit("42")) == 3
    assert shard_map.unit_epoch(shard_map.unit("7")) == 2


def test_homes_are_the_shards_that_may_hold_rows():
    joined = {A: maps.shard(A), B: maps.shard(B), C: maps.shard(C)}

    assert maps.two_shards(shards=joined).homes == (A, B)
    assert maps.two_shards(shards=joined, pins={"42": Pin(C)}).homes == (A, B, C)


def test_a_sharded_table_may_say_which_columns_are_unique_in_the_whole_cluster():
    text = (
        "tables: {public.t: {sharded: a, unique_ids: [id, [b, c]], global_unique: [email]},"
        " public.u: {sharded: a}}"
    )

    shard_map = read_map(MINIMAL + text)

    assert shard_map.tables["public.t"] == Sharded("a", (("id",), ("b", "c")), (("email",),))
    assert read_map(write_yaml(shard_map)) == shard_map
    assert "global_unique:\n    - email" in write_yaml(shard_map)


@pytest.mark.parametrize("wrong", ["[1]", "[[]]", "[[a, 1]]", "[{a: b}]", "[null]"])
def test_unique_columns_are_names_or_lists_of_names(wrong):
    text = f"{MINIMAL}tables: {{public.t: {{sharded: a, global_unique: {wrong}}}}}"

    assert problems(text) == ["tables.public.t.global_unique[0]: must be a name or a list of names"]


def test_numbers_of_shards_are_kept_given_and_checked():
    previous = read_map(MINIMAL + "shard_numbers: {shard_1: 9, gone: 4}")

    again = read_map(MINIMAL + "  shard_2: {primary: postgres://flux@db3/app}", previous)

    assert previous.numbers == {"gone": 4, B: 9, A: 10}
    assert again.numbers == {"gone": 4, B: 9, A: 10, C: 11}
    assert problems(MINIMAL + "shard_numbers: {shard_0: 2, shard_1: 2, shard_2: 0, a: 1024}") == [
        "shard_numbers.shard_2: must be an integer from 1 to 1023",
        "shard_numbers.a: must be an integer from 1 to 1023",
        "shard_numbers.shard_1: 2 is the number of shard_0, and ids would clash",
    ]
    assert problems(MINIMAL + "shard_numbers: {shard_0: 1023}") == [
        "shard_numbers.shard_1: cannot be given: all numbers to 1023 are taken"
    ]


def pooled(shards):
    return MINIMAL[: MINIMAL.index("shards:")] + f"shards:{shards}"


def test_a_pooler_is_declared_by_key_or_url_and_each_replica_says_it_for_itself():
    shard = read_map(
        pooled(
            """
  shard_0:
    primary: {host: pgb, port: 6432, database: shop, user: app, pooling: transaction, direct: db1}
    replicas:
      - db2
      - url: postgres://app@pgb:6432/shop2?pooling=session&direct=db3:5433
      - {host: pgb, database: shop3, pooling: session, direct: "postgres://[::1]:5434/shop4"}
"""
        )
    ).shards["shard_0"]

    first, second, third, fourth = shard.endpoints
    assert (first.pooling, first.direct) == (Pooling.TRANSACTION, Place("db1", 5432, "shop"))
    assert (first.straight.host, first.straight.pooling) == ("db1", Pooling.NONE)
    assert (second.pooling, second.direct, second.straight) == (Pooling.NONE, None, second)
    assert (third.pooling, third.direct) == (Pooling.SESSION, Place("db3", 5433, "shop2"))
    assert fourth.direct == Place("::1", 5434, "shop4")


@pytest.mark.parametrize("direct", ["postgres://u:secret@db/x", "postgres://u@db", "a,b", "db:0"])
def test_a_direct_address_that_is_more_than_a_place_is_a_problem(direct):
    with pytest.raises(InvalidMap) as caught:
        read_map(
            pooled(
                f"""
  shard_0:
    primary: {{host: pgb, database: shop, user: app, pooling: transaction, direct: "{direct}"}}
"""
            )
        )

    (problem,) = caught.value.problems
    assert problem.path == "shards.shard_0.primary.direct"
    assert "secret" not in problem.message
