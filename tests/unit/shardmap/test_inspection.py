"""What is wrong with a map's tables, given what a database says about them."""

import importlib.util
from pathlib import Path

import pytest

from shardmap import (
    CATALOG,
    Finding,
    Global,
    KeyType,
    Reference,
    Rule,
    Severity,
    Sharded,
    Unsharded,
    merged,
    sequence_findings,
    table_findings,
    tables_of,
)
from shardmap.global_unique import guard_names
from shardmap.inspection import (
    ColumnFact,
    Facts,
    ForeignKeyFact,
    KeyFact,
    KeyKind,
    SequenceFact,
)

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("shardmap_maps", HERE / "maps.py")
maps = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(maps)
A, B, C = maps.A, maps.B, maps.C

ORDERS, LINES, COUNTRIES, PLANS = (
    "public.orders",
    "public.order_lines",
    "public.countries",
    "public.plans",
)
MAP = maps.two_shards(
    tables={
        ORDERS: Sharded("tenant_id"),
        LINES: Sharded("tenant"),
        COUNTRIES: Reference(),
        PLANS: Global(),
    }
)


def column(
    table, name="tenant_id", type_="bigint", *, kind="r", not_null=True, by_bytes=True, **others
):
    return ColumnFact(table, kind, name, type_, not_null, by_bytes, **others)


COLUMNS = (column(ORDERS), column(LINES, "tenant"), column(COUNTRIES, "code", "text"))


def problems(columns=COLUMNS, keys=(), foreign_keys=(), shard_map=MAP):
    return [str(one) for one in findings(columns, keys, foreign_keys, shard_map)]


def findings(columns=COLUMNS, keys=(), foreign_keys=(), shard_map=MAP):
    return table_findings(shard_map, A, Facts(columns, keys, foreign_keys))


def test_a_shard_has_all_tables_but_the_global_ones_and_the_catalog_has_those():
    assert tables_of(MAP, A) == (COUNTRIES, LINES, ORDERS)
    assert tables_of(MAP, CATALOG) == (PLANS,)


def test_tables_that_are_as_they_should_be_have_no_problem():
    keys = (
        KeyFact(ORDERS, "orders_pkey", KeyKind.PRIMARY, ("tenant_id", "id")),
        KeyFact(COUNTRIES, "countries_pkey", KeyKind.PRIMARY, ("code",)),
    )
    foreign_keys = (
        ForeignKeyFact(LINES, "fk1", ORDERS, (("tenant", "tenant_id"), ("order_id", "id"))),
        ForeignKeyFact(ORDERS, "fk2", COUNTRIES, (("country", "code"),)),
        ForeignKeyFact(COUNTRIES, "fk3", COUNTRIES, (("part_of", "code"),)),
    )

    assert problems(keys=keys, foreign_keys=foreign_keys) == []


def test_a_table_that_is_not_there_is_named():
    assert problems(COLUMNS[:2]) == ["tables.public.countries: there is no such table"]


def test_a_tenant_column_that_is_not_there_is_named_with_a_close_one():
    columns = (column(ORDERS, "tenantid"), *COLUMNS[1:])

    assert problems(columns) == [
        "tables.public.orders: has no column tenant_id; did you mean tenantid?"
    ]


@pytest.mark.parametrize(
    ("key_type", "good", "bad"),
    [
        (KeyType.INTEGER, ["smallint", "integer", "bigint"], ["numeric", "text", "uuid"]),
        (KeyType.UUID, ["uuid"], ["text", "bigint"]),
        (KeyType.TEXT, ["text", "character varying"], ["character", "citext", "uuid", "name"]),
    ],
)
def test_the_tenant_column_is_of_the_maps_key_type(key_type, good, bad):
    shard_map = maps.two_shards(key_type=key_type, tables={ORDERS: Sharded("tenant_id")})

    for type_ in good:
        assert problems((column(ORDERS, type_=type_),), shard_map=shard_map) == []
    for type_ in bad:
        (problem,) = problems((column(ORDERS, type_=type_),), shard_map=shard_map)
        assert f"tenant_id is {type_}; a tenant key of type {key_type} is " in problem


def test_a_tenant_column_may_not_be_null_but_that_of_a_view_cannot_say_so():
    nullable = column(ORDERS, not_null=False)
    of_a_view = column(ORDERS, kind="v", not_null=False)

    assert problems((nullable, *COLUMNS[1:])) == [
        (
            "tables.public.orders: tenant_id may be NULL: "
            "alter table public.orders alter tenant_id set not null"
        )
    ]
    assert problems((of_a_view, *COLUMNS[1:])) == []


def test_a_collation_that_finds_different_bytes_equal_is_refused():
    columns = (column(ORDERS, by_bytes=False), *COLUMNS[1:])

    assert "nondeterministic collation" in problems(columns)[0]


@pytest.mark.parametrize("kind", KeyKind)
def test_a_key_without_the_tenant_column_is_refused(kind):
    keys = (KeyFact(ORDERS, "orders_key", kind, ("id",)),)

    assert problems(keys=keys) == [
        (
            f"tables.public.orders: the {kind} orders_key does not contain tenant_id, "
            "so it spans tenants"
        )
    ]


def test_a_foreign_key_ties_tenant_to_tenant():
    crossed = ForeignKeyFact(LINES, "fk", ORDERS, (("tenant", "id"), ("order_id", "tenant_id")))

    assert problems(foreign_keys=(crossed,)) == [
        (
            "tables.public.order_lines: the foreign key fk does not tie tenant to "
            "public.orders.tenant_id, so it spans tenants"
        )
    ]


@pytest.mark.parametrize("target", [PLANS, "public.unlisted"])
def test_a_foreign_key_stays_on_the_shard(target):
    leaving = ForeignKeyFact(ORDERS, "fk", target, (("plan", "id"),))

    assert problems(foreign_keys=(leaving,)) == [
        (
            f"tables.public.orders: the foreign key fk refers to {target}, "
            "which is not on the tenant's shard"
        )
    ]


@pytest.mark.parametrize("target", [ORDERS, PLANS])
def test_a_reference_table_depends_on_reference_tables_only(target):
    leaving = ForeignKeyFact(COUNTRIES, "fk", target, (("x", "id"),))

    assert problems(foreign_keys=(leaving,)) == [
        (
            f"tables.public.countries: the foreign key fk refers to {target}, "
            "which is not on every shard"
        )
    ]


def test_unsharded_tables_may_be_as_they_like():
    shard_map = maps.one_shard(tables={ORDERS: Unsharded()})
    keys = (KeyFact(ORDERS, "orders_pkey", KeyKind.PRIMARY, ("id",)),)

    assert problems(keys=keys, shard_map=shard_map) == []


def test_one_problem_on_several_shards_is_told_once():
    missing = Finding(Rule.TABLE_MISSING, "tables.public.t", "there is no such table")
    other = Finding(Rule.TENANT_COLUMN_MISSING, "tables.public.u", "has no column x")

    assert [str(problem) for problem in merged({A: (missing, other), B: (missing,), C: ()})] == [
        "tables.public.t: there is no such table (on shard_0, shard_1)",
        "tables.public.u: has no column x (on shard_0)",
    ]


def test_what_to_do_about_a_key_is_said_with_it():
    keys = (KeyFact(ORDERS, "orders_pkey", KeyKind.PRIMARY, ("id",)),)

    (finding,) = findings(keys=keys)

    assert finding.rule is Rule.KEY_SPANS_TENANTS
    assert finding.severity is Severity.ERROR
    assert finding.lines("refused") == [
        (
            "refused: tables.public.orders: the primary key orders_pkey does not contain "
            "tenant_id, so it spans tenants [key-spans-tenants]"
        ),
        (
            "    make it (tenant_id, id); or, if its values are made unique (default "
            "fluxshard.next_id(), or a random uuid), say so in the map: unique_ids: [id]"
        ),
    ]


def test_what_to_do_about_a_foreign_key_keeps_its_columns_in_matching_positions():
    alone = ForeignKeyFact(LINES, "fk", ORDERS, (("order_id", "id"),))

    (finding,) = findings(foreign_keys=(alone,))

    assert finding.hint == (
        "make it foreign key (tenant, order_id) references public.orders (tenant_id, id)"
    )


def unique_ids(*names):
    return maps.two_shards(tables={ORDERS: Sharded("tenant_id", names)})


@pytest.mark.parametrize(
    "default", ["fluxshard.next_id()", "gen_random_uuid()", "public.uuid_generate_v7()"]
)
def test_a_key_of_ids_that_are_made_unique_needs_no_tenant_column(default):
    columns = (column(ORDERS), column(ORDERS, "id", default=default))
    keys = (
        KeyFact(ORDERS, "orders_pkey", KeyKind.PRIMARY, ("id",)),
        KeyFact(ORDERS, "orders_more", KeyKind.UNIQUE, ("note", "id")),
    )

    assert problems(columns, keys, shard_map=unique_ids(("id",))) == []


def test_a_key_with_half_of_a_composite_id_spans_tenants():
    columns = (column(ORDERS), column(ORDERS, "a"), column(ORDERS, "b", default="uuidv7()"))
    keys = (KeyFact(ORDERS, "orders_pkey", KeyKind.PRIMARY, ("a",)),)

    assert [one.rule for one in findings(columns, keys, shard_map=unique_ids(("a", "b")))] == [
        Rule.KEY_SPANS_TENANTS
    ]


def test_ids_that_nothing_makes_are_warned_about():
    columns = (column(ORDERS), column(ORDERS, "id", default="nextval('s'::regclass)"))

    (finding,) = findings(columns, shard_map=unique_ids(("id",)))

    assert (finding.rule, finding.severity) == (Rule.IDS_BY_CLIENTS, Severity.WARNING)
    assert str(finding) == (
        "tables.public.orders.unique_ids: nothing makes the values of id: "
        "two shards may have the same"
    )


def test_unique_ids_are_columns_of_the_table():
    (finding,) = findings((column(ORDERS),), shard_map=unique_ids(("tenantid",)))

    assert (finding.rule, finding.severity) == (Rule.UNIQUE_ID_MISSING, Severity.ERROR)
    assert finding.message == "there is no column tenantid; did you mean tenant_id?"


def test_a_limited_length_of_the_tenant_column_is_unsafe():
    text_map = maps.two_shards(key_type=KeyType.TEXT, tables={ORDERS: Sharded("tenant_id")})

    (finding,) = findings(
        (column(ORDERS, type_="character varying", limited=True),), shard_map=text_map
    )

    assert (finding.rule, finding.severity) == (Rule.TENANT_COLUMN_TYPE, Severity.UNSAFE)
    assert "limited length" in finding.message


def test_a_sharded_table_without_row_security_is_noted_and_a_view_is_not():
    off = column(ORDERS, row_security=False)
    view = column(LINES, "tenant", kind="v", row_security=False)

    (finding,) = findings((off, view, COLUMNS[2]))

    assert (finding.rule, finding.severity) == (Rule.ROW_SECURITY_OFF, Severity.NOTE)


def numbered_facts(table=ORDERS, key="id", **changes):
    given = {"start": 1, "increment": 1, "least": 1, "most": 2**63 - 1, "last": None, **changes}
    sequence = SequenceFact(table, "id", f"{table}_id_seq", "integer", False, **given)
    return Facts((), (KeyFact(table, "k", KeyKind.PRIMARY, ("tenant_id", key)),), (), (sequence,))


def overlaps(*facts, shard_map=MAP):
    return sequence_findings(shard_map, dict(zip(shard_map.shards, facts, strict=False)))


def test_sequences_that_number_a_key_alike_on_two_shards_are_warned_about():
    (finding,) = overlaps(numbered_facts(last=40), numbered_facts(last=100))

    assert (finding.rule, finding.severity) == (Rule.SEQUENCES_OVERLAP, Severity.WARNING)
    assert str(finding) == (
        "tables.public.orders: id is numbered alike on shard_0, shard_1: "
        "rows collide when a tenant moves"
    )
    assert finding.hint.splitlines() == [
        (
            "on every shard: alter table public.orders alter id type bigint, "
            "alter id set default fluxshard.next_id();"
        ),
        (
            "or on shard_0: alter sequence public.orders_id_seq increment by 16 "
            "start with 113 restart;"
        ),
        (
            "or on shard_1: alter sequence public.orders_id_seq increment by 16 "
            "start with 114 restart;"
        ),
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"increment": 16, "start": 113}, {"increment": 16, "start": 114}),
        ({"increment": 4, "start": 1, "last": 41}, {"increment": 6, "start": 2, "last": 62}),
        ({"most": 1000}, {"least": 1001, "start": 1001}),
    ],
)
def test_sequences_that_never_give_the_same_number_are_fine(one, other):
    assert overlaps(numbered_facts(**one), numbered_facts(**other)) == ()


def test_steps_that_meet_later_are_found():
    assert overlaps(numbered_facts(increment=4, start=1), numbered_facts(increment=6, start=3))


def test_sequences_of_other_columns_tables_and_single_shards_may_be_alike():
    assert overlaps(numbered_facts(key="line"), numbered_facts(key="line")) == ()
    assert overlaps(numbered_facts(COUNTRIES), numbered_facts(COUNTRIES)) == ()
    assert overlaps(numbered_facts()) == ()


def test_only_what_lets_tenants_meet_or_ids_clash_stops_a_start():
    assert {rule for rule in Rule if rule.severity is Severity.UNSAFE} == {
        Rule.TENANT_COLUMN_TYPE,
        Rule.TENANT_COLUMN_COLLATION,
        Rule.SHARD_NUMBER,
    }


def globally(*names):
    return maps.two_shards(tables={ORDERS: Sharded("tenant_id", (), names)})


def guarded(table, *names):
    return frozenset((table, name) for columns in names for name in guard_names(columns).values())


def test_a_key_of_globally_unique_columns_needs_no_tenant_column():
    facts = Facts(
        (column(ORDERS), column(ORDERS, "email", "text")),
        (KeyFact(ORDERS, "orders_email", KeyKind.UNIQUE, ("email",)),),
        (),
        guards=guarded(ORDERS, ("email",)),
    )

    assert table_findings(globally(("email",)), A, facts) == ()


@pytest.mark.parametrize(
    ("fact", "says"),
    [
        (column(ORDERS, "mail", "text"), "there is no column email; did you mean mail?"),
        (column(ORDERS, "email", "citext"), "email is citext: equal values may have different"),
        (column(ORDERS, "email", "numeric"), "email is numeric: equal values may have different"),
        (column(ORDERS, "email", "text", by_bytes=False), "email is text: equal values may have"),
        (column(ORDERS, "email", "text", kind="v"), "only tables can have it"),
    ],
)
def test_a_globally_unique_column_is_of_a_type_that_is_equal_when_its_text_is(fact, says):
    facts = Facts((column(ORDERS), fact), (), (), guards=guarded(ORDERS, ("email",)))

    (finding,) = table_findings(globally(("email",)), A, facts)

    assert (finding.rule, finding.severity) == (Rule.GLOBAL_UNIQUE_COLUMN, Severity.ERROR)
    assert says in finding.message


def test_globally_unique_columns_without_all_their_guards_are_warned_about_with_the_statements():
    guards = frozenset(list(guarded(ORDERS, ("email",)))[1:])
    facts = Facts((column(ORDERS), column(ORDERS, "email", "text")), (), (), guards=guards)

    (finding,) = table_findings(globally(("email",)), A, facts)

    assert finding.rule is Rule.GLOBAL_UNIQUE_UNGUARDED
    assert finding.severity is Severity.WARNING
    assert [line.split()[6:8] for line in finding.hint.splitlines()] == [
        ["insert", "on"],
        ["update", "on"],
        ["delete", "on"],
        ["truncate", "on"],
    ]
