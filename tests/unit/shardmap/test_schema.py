"""The JSON Schema of the map's document accepts what is read, and knows every key."""

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings

from shardmap import document_schema, write_document
from tests.unit.shardmap.maps import shard_maps, two_shards

SCHEMA = document_schema()
TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "null": lambda value: value is None,
}


def problems(value, schema, path="document"):  # noqa: C901, PLR0912 - one branch for each keyword
    """What is wrong by the schema, for the keywords that ours uses."""
    known = set(
        "$schema title $defs description type properties additionalProperties required".split()
    )
    known |= set("anyOf enum const pattern minimum maximum items minItems maxItems $ref".split())
    known.add("propertyNames")
    assert schema.keys() <= known, schema.keys() - known
    if "$ref" in schema:
        yield from problems(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], path)
        return
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(TYPES[one](value) for one in types):
        yield f"{path}: is no {types}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{path}: is not {schema['const']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: is none of {schema['enum']}"
    if "anyOf" in schema and all(list(problems(value, one, path)) for one in schema["anyOf"]):
        yield f"{path}: has none of the forms"
    if isinstance(value, str) and re.search(schema.get("pattern", ""), value) is None:
        yield f"{path}: {value} is not {schema['pattern']}"
    if isinstance(value, int) and not (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
    ):
        yield f"{path}: is out of range"
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0) or len(value) > schema.get("maxItems", 10**6):
            yield f"{path}: has too few or too many"
        for index, member in enumerate(value):
            yield from problems(member, schema.get("items", {}), f"{path}[{index}]")
    if isinstance(value, dict):
        yield from (
            f"{path}.{key}: is missing" for key in schema.get("required", []) if key not in value
        )
        others = schema.get("additionalProperties", {})
        for key, member in value.items():
            names = schema.get("propertyNames", {})
            yield from problems(key, names, f"{path}.{key}")
            form = schema.get("properties", {}).get(key, others)
            if form is False:
                yield f"{path}.{key}: is unknown"
            else:
                yield from problems(member, form, f"{path}.{key}")


@settings(max_examples=60, deadline=None)
@given(shard_maps())
def test_every_map_that_is_written_fits(shard_map):
    assert list(problems(write_document(shard_map), SCHEMA)) == []


def test_the_example_of_the_documentation_fits():
    text = (Path(__file__).parents[3] / "docs" / "shard-map.md").read_text()
    (example,) = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)

    document = yaml.safe_load(example)
    document["slot_epochs"] = {str(key): one for key, one in document["slot_epochs"].items()}

    assert list(problems(document, SCHEMA)) == []


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"shrads": {}}, "document.shrads"),
        ({"version": 2}, "document.version"),
        ({"shards": None, "catalog": {}}, "document.catalog.primary"),
        ({"tables": {"orders": "reference"}}, "document.tables.orders"),
        ({"tables": {"public.orders": "everywhere"}}, "document.tables.public.orders"),
        ({"shards": {"A": {"primary": "db:1"}}}, "document.shards.A"),
        ({"shards": {"a": {"primary": {"password": "x"}}}}, "document.shards.a.primary"),
        ({"slots": {"a": "0..9"}}, "document.slots.a"),
    ],
)
def test_what_is_wrong_is_found_where_it_is(changes, path):
    document = {**write_document(two_shards()), **changes}

    assert [one.split(":")[0] for one in problems(document, SCHEMA)] == [path]
