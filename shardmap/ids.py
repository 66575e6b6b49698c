"""Names of shards and tenants, and the one canonical spelling of a tenant key."""

import re
import uuid
from enum import StrEnum
from typing import Final, NewType

from shardmap.errors import InvalidTenantKey

ShardId = NewType("ShardId", str)
TenantId = NewType("TenantId", str)
"""A tenant key in canonical text: decimal digits, lower-case UUID, or the text itself."""

CATALOG: Final = ShardId("catalog")
"""The database that holds the map and the global tables. It is not a shard of any tenant."""

MAX_TEXT_KEY_BYTES: Final = 512
"""Longer text keys do not fit the index entries and lock names made from them."""

_INTEGER: Final = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)[ \t\n\v\f\r]*", re.ASCII)
_INT8: Final = range(-(2**63), 2**63)
_UUID: Final = re.compile(r"(\{)?(?:[0-9a-fA-F]{4}-?){7}[0-9a-fA-F]{4}(?(1)\})", re.ASCII)
"""What PostgreSQL's `uuid_in` reads: a hyphen after any four digits, braces on both ends or none."""


class KeyType(StrEnum):
    """The SQL type of every tenant key of a map. One map, one type."""

    INTEGER = "integer"
    """smallint, integer and bigint: `7`, `'7'::int` and `7::bigint` are one tenant."""
    UUID = "uuid"
    TEXT = "text"
    """text and varchar, compared byte for byte."""


def tenant_id(key_type: KeyType, value: object) -> TenantId:
    """The canonical text of a key given as a Python value or as PostgreSQL input text.

    Accepts what PostgreSQL accepts for the type in its plain forms (`' +7 '`, `'{A0EE-…}'`); what
    it cannot prove to be a key it refuses, so that nothing is ever routed by a guess.

    Raises:
        InvalidTenantKey: The value is no key of this type, or out of range.
    """
    match key_type:
        case KeyType.INTEGER:
            return _integer(value)
        case KeyType.UUID:
            return _uuid(value)
        case KeyType.TEXT:
            return _text(value)


def _integer(value: object) -> TenantId:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidTenantKey(f"an integer tenant key cannot be {type(value).__name__}")
    if isinstance(value, str):
        match = _INTEGER.fullmatch(value)
        if match is None or len(match[1]) > 40:
            raise InvalidTenantKey(f'invalid input syntax for type integer: "{value[:40]}"')
        value = int(match[1])
    if value not in _INT8:
        raise InvalidTenantKey(f'value "{value}" is out of range for type bigint')
    return TenantId(str(value))


def _uuid(value: object) -> TenantId:
    if isinstance(value, uuid.UUID):
        return TenantId(str(value))
    if isinstance(value, str) and _UUID.fullmatch(value):
        return TenantId(str(uuid.UUID(hex=value.strip("{}").replace("-", ""))))
    raise InvalidTenantKey(f'invalid input syntax for type uuid: "{str(value)[:40]}"')


def _text(value: object) -> TenantId:
    if not isinstance(value, str):
        raise InvalidTenantKey(f"a text tenant key cannot be {type(value).__name__}")
    try:
        encoded = value.encode()
    except UnicodeEncodeError as error:
        raise InvalidTenantKey("a text tenant key is valid Unicode") from error
    if b"\0" in encoded or len(encoded) > MAX_TEXT_KEY_BYTES:
        raise InvalidTenantKey("a text tenant key holds no NUL and at most 512 bytes")
    return TenantId(value)
