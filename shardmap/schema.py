"""The form of a map document as JSON Schema, for editors that complete and check it.

It says less than `read_document` does: what refers to something else in the document, and texts
that have to be parsed, are checked there.
"""

from enum import StrEnum
from typing import Final

from shardmap.document import CLUSTER_ID, SHARD_ID, VERSION
from shardmap.endpoint import Durability, Pooling, Tls
from shardmap.endpoints import MAX_REPLICAS, MAX_WEIGHT, NAME
from shardmap.homes import EPOCHS
from shardmap.ids import KeyType
from shardmap.markup import Plain
from shardmap.numbers import NUMBERS
from shardmap.slots import HASH

_RANGES: Final = r"^[0-9 ,-]*$"


def document_schema() -> dict[str, Plain]:
    """The schema, draft 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Fluxshard shard map",
        **_object(
            {
                "version": {"const": VERSION, "description": "of this form"},
                "cluster_id": _text("never changes; every server stores it", CLUSTER_ID.pattern),
                "epoch": _integer(EPOCHS, "the map that this was made from"),
                "tenant_key": _object(
                    {"type": _choice(KeyType, "never changes")}, ["type"], "the type of tenant keys"
                ),
                "hash": {"const": HASH},
                "catalog": _object(
                    {"primary": _ref("endpoint"), "replicas": _replicas()},
                    ["primary"],
                    "holds the maps and the global tables",
                ),
                "shards": _members(SHARD_ID.pattern, _ref("shard"), "by name"),
                "default_placement": {"const": "unsharded"},
                "tables": _members(r"^[^.\"]+\..+$", _ref("placement"), "by schema.table"),
                "pins": _members(None, _ref("pin"), "tenants placed by hand"),
                "slot_epochs": _members(r"^[0-9]+$", _slots(), "slots that are not at 1"),
                "shard_numbers": _members(
                    None, _integer(NUMBERS, "a part of the ids it makes; never changes"), ""
                ),
                "slots": _members(None, _slots(), "which shard has which slots"),
            },
            ["version", "cluster_id", "tenant_key", "catalog", "shards"],
            "docs/shard-map.md describes it",
        ),
        "$defs": {
            "endpoint": _endpoint(),
            "shard": _shard(),
            "placement": _placement(),
            "pin": _pin(),
        },
    }


def _endpoint() -> Plain:
    mapping = _object(
        {
            "url": _text("postgres://user@host:port/database, without a password"),
            "host": _text("a name, an address, or the directory of a socket"),
            "port": _integer(range(1, 65536), "5432 if left out"),
            "database": _text(),
            "user": _text(),
            "credentials": {
                "type": ["string", "null"],
                "pattern": "^(env:|file:).+",
                "description": "env:NAME or file:/path; never a password",
            },
            "tls": {"enum": [None, *(str(one) for one in Tls)]},
            "zone": _text(),
            "weight": _integer(range(MAX_WEIGHT + 1), "share of reads among replicas"),
            "name": _text("in metrics and logs", NAME.pattern),
            "pooling": _choice(Pooling, "what stands before the server"),
            "direct": _text("where the server itself is, past a pooler"),
        }
    )
    return {"anyOf": [_text("a url, or host:port"), mapping]}


def _shard() -> Plain:
    return _object(
        {
            "primary": _ref("endpoint"),
            "replicas": _replicas(),
            "weight": _integer(range(MAX_WEIGHT + 1), "share of slots; 0: none"),
            "durability": _choice(Durability, "quorum: a commit waits for one replica"),
            "region": _text(),
        },
        ["primary"],
    )


def _placement() -> Plain:
    columns: Plain = {
        "type": "array",
        "items": {"anyOf": [_text(), {"type": "array", "items": _text(), "minItems": 1}]},
    }
    sharded = _object(
        {"sharded": _text("the tenant column"), "unique_ids": columns, "global_unique": columns},
        ["sharded"],
        "each row on its tenant's shard",
    )
    return {"anyOf": [{"enum": ["reference", "global", "unsharded"]}, sharded]}


def _pin() -> Plain:
    mapping = _object({"shard": _text(), "epoch": _integer(EPOCHS, "of the unit")}, ["shard"])
    return {"anyOf": [_text("the tenant's shard"), mapping]}


def _replicas() -> Plain:
    return {"type": ["array", "null"], "items": _ref("endpoint"), "maxItems": MAX_REPLICAS}


def _slots() -> Plain:
    return {
        "anyOf": [_integer(range(4096), "one slot"), {"type": "string", "pattern": _RANGES}],
        "description": "0-511, 1024",
    }


def _object(
    properties: dict[str, Plain], required: list[Plain] | None = None, description: str = ""
) -> dict[str, Plain]:
    form: dict[str, Plain] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    if required:
        form["required"] = required
    return _described(form, description)


def _members(pattern: str | None, member: Plain, description: str) -> Plain:
    form: dict[str, Plain] = {"type": ["object", "null"], "additionalProperties": member}
    if pattern is not None:
        form["propertyNames"] = {"pattern": _anchored(pattern)}
    return _described(form, description)


def _text(description: str = "", pattern: str | None = None) -> dict[str, Plain]:
    form: dict[str, Plain] = {"type": ["string", "integer"]}
    if pattern is not None:
        form["pattern"] = _anchored(pattern)
    return _described(form, description)


def _anchored(pattern: str) -> str:
    return pattern if pattern.startswith("^") else f"^(?:{pattern})$"


def _integer(allowed: range, description: str) -> dict[str, Plain]:
    form: dict[str, Plain] = {
        "type": "integer",
        "minimum": allowed.start,
        "maximum": allowed.stop - 1,
    }
    return _described(form, description)


def _choice(choices: type[StrEnum], description: str) -> dict[str, Plain]:
    return _described({"enum": [str(one) for one in choices]}, description)


def _described(form: dict[str, Plain], description: str) -> dict[str, Plain]:
    return {**form, "description": description} if description else form


def _ref(name: str) -> Plain:
    return {"$ref": f"#/$defs/{name}"}
