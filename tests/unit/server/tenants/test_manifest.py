import json

import pytest

from server.tenants.errors import ArchiveUnusable
from server.tenants.manifest import (
    Column,
    Manifest,
    TableRows,
    filling_order,
    read_manifest,
    schema_problems,
)
from shardmap import KeyType, TableName, TenantId

ORDERS, LINES, NOTES = (TableName(f"public.{name}") for name in ("orders", "lines", "notes"))
COLUMNS = (Column("tenant_id", "integer"), Column("note", "text"))
MANIFEST = Manifest(
    TenantId("7"),
    KeyType.INTEGER,
    "test",
    4,
    "2026-11-24T10:00:00+00:00",
    (TableRows(ORDERS, "tenant_id", COLUMNS, 3, 30, "abc"),),
)


def test_a_manifest_is_read_as_it_was_written():
    assert read_manifest(MANIFEST.write()) == MANIFEST


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "fluxshard tenant 9"}, "its form is fluxshard tenant 9"),
        ({"schema": "0"}, "the fingerprint does not hold"),
        ({"key_type": "float"}, "cannot be read"),
        ({"tables": [{"table": "x"}]}, "cannot be read"),
    ],
)
def test_a_manifest_that_was_changed_is_refused(change, message):
    document = {**json.loads(MANIFEST.write()), **change}

    with pytest.raises(ArchiveUnusable, match=message):
        read_manifest(json.dumps(document).encode())


def test_tables_are_filled_after_those_that_they_refer_to():
    pairs = [(LINES, ORDERS), (NOTES, LINES), (NOTES, NOTES), (ORDERS, TableName("public.other"))]

    assert filling_order([NOTES, LINES, ORDERS], pairs) == (ORDERS, LINES, NOTES)
    assert filling_order([NOTES, LINES], [(LINES, NOTES), (NOTES, LINES)]) == (LINES, NOTES)


def test_rows_need_a_column_each_of_their_type():
    keys = {ORDERS: "tenant_id"}

    def problems(*columns, key="tenant_id"):
        return list(schema_problems(MANIFEST, {ORDERS: columns}, {ORDERS: key}))

    assert problems(*COLUMNS, Column("more", "text")) == []
    assert problems(COLUMNS[0], Column("note", "jsonb")) == [
        "public.orders: note is jsonb, in the archive text"
    ]
    assert problems(COLUMNS[0]) == ["public.orders: has no column note"]
    assert problems(*COLUMNS, key="org") == [
        "public.orders: is sharded by org, in the archive by tenant_id"
    ]
    assert list(schema_problems(MANIFEST, {}, keys)) == [
        "public.orders: there is no such sharded table, and the archive has rows of it"
    ]
