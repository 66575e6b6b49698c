"""Tenant keys: one canonical spelling each, and one slot for ever."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardmap import SLOTS, InvalidTenantKey, KeyType, TenantId, slot_of, tenant_id

# Computed with `printf %s KEY | b2sum -l 64`, not with this code. A change here is a migration of
# all data in every cluster: never adapt these numbers, give the new hash another name.
GOLDEN = [
    (KeyType.INTEGER, "0", 3957),
    (KeyType.INTEGER, "1", 1910),
    (KeyType.INTEGER, "7", 3970),
    (KeyType.INTEGER, "42", 2170),
    (KeyType.INTEGER, "-1", 230),
    (KeyType.INTEGER, "1000000", 484),
    (KeyType.INTEGER, "9223372036854775807", 313),
    (KeyType.INTEGER, "-9223372036854775808", 1042),
    (KeyType.UUID, "00000000-0000-0000-0000-000000000000", 2058),
    (KeyType.UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", 4046),
    (KeyType.UUID, "ffffffff-ffff-ffff-ffff-ffffffffffff", 2793),
    (KeyType.UUID, "018f3b2e-7c4d-7a31-9f00-1c2d3e4f5a6b", 1444),
    (KeyType.TEXT, "acme", 641),
    (KeyType.TEXT, "Acme", 3142),
    (KeyType.TEXT, "acme ", 3699),
    (KeyType.TEXT, "日本語", 2888),
    (KeyType.TEXT, "naïve", 3292),
    (KeyType.TEXT, "", 692),
    (KeyType.TEXT, "x y/z?&", 1540),
    (KeyType.TEXT, "😀", 1904),
]


@pytest.mark.parametrize(("key_type", "key", "slot"), GOLDEN)
def test_the_slot_of_a_key_never_changes(key_type, key, slot):
    tenant = tenant_id(key_type, key)

    assert tenant == key
    assert slot_of(tenant) == slot


def test_there_are_4096_slots_for_ever():
    assert SLOTS == 4096


def test_consecutive_keys_spread_over_the_slots():
    slots = {slot_of(TenantId(str(number))) for number in range(4096)}

    assert len(slots) > 2400  # 4,096 balls into 4,096 bins fill about 63 %


@pytest.mark.parametrize("spelling", [7, "7", "+7", " 7 ", "\t7\n", "007"])
def test_an_integer_key_has_one_canonical_form(spelling):
    assert tenant_id(KeyType.INTEGER, spelling) == "7"


def test_minus_zero_is_zero():
    assert tenant_id(KeyType.INTEGER, "-0") == "0"


@pytest.mark.parametrize(
    "value",
    ["", "x", "1.0", "1e3", "0x1F", "1_000", "٣", "7\u00a0", "9" * 5000]  # noqa: RUF005 - two kinds
    + [True, None, 1.0, b"1", 2**63, -(2**63) - 1],
)
def test_what_is_no_bigint_is_no_integer_key(value):
    with pytest.raises(InvalidTenantKey):
        tenant_id(KeyType.INTEGER, value)


@pytest.mark.parametrize(
    "spelling",
    [
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
        "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
        "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
        uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ],
)
def test_a_uuid_key_has_one_canonical_form(spelling):
    assert tenant_id(KeyType.UUID, spelling) == "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
        "{{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}}",
        "a-0eebc999c0b4ef8bb6d6bb9bd380a11",
        "a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0eebc999c0b4ef8bb6d6bb9bd380a11-",
        " a0eebc999c0b4ef8bb6d6bb9bd380a11",
        "a0eebc999c0b4ef8bb6d6bb9bd380a1",
        7,
        None,
    ],
)
def test_what_postgresql_would_not_read_as_a_uuid_is_no_uuid_key(value):
    with pytest.raises(InvalidTenantKey):
        tenant_id(KeyType.UUID, value)


@pytest.mark.parametrize("value", ["a\0b", "\ud800", "x" * 513, "é" * 257, 7, None, b"x"])
def test_what_no_text_column_could_hold_is_no_text_key(value):
    with pytest.raises(InvalidTenantKey):
        tenant_id(KeyType.TEXT, value)


@given(st.text())
def test_every_text_key_has_a_slot_or_is_refused(text):
    try:
        tenant = tenant_id(KeyType.TEXT, text)
    except InvalidTenantKey:
        return

    assert 0 <= slot_of(tenant) < SLOTS


@given(st.integers(-(2**63), 2**63 - 1))
def test_the_canonical_form_of_an_integer_is_its_own_canonical_form(number):
    tenant = tenant_id(KeyType.INTEGER, number)

    assert tenant_id(KeyType.INTEGER, tenant) == tenant
    assert int(tenant) == number
