"""YAML and JSON without surprises."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardmap import InvalidMap
from shardmap.markup import MAX_BYTES, read_markup


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1\nb: [x, {c: no}]", {"a": 1, "b": ["x", {"c": "no"}]}),
        ("1: 2\nyes: true\n~: null", {"1": 2, "yes": True, "~": None}),
        (
            "a: 007\nb: 1_000\nc: 1.5\nd: 2024-01-01\ne: 0x1f\nf: 1:30",
            {
                "a": "007",
                "b": "1_000",
                "c": "1.5",
                "d": "2024-01-01",
                "e": "0x1f",
                "f": "1:30",
            },
        ),
        ("a: '1'\nb: \"true\"\nc: |\n  x\n", {"a": "1", "b": "true", "c": "x\n"}),
        ("a: -5\nb:\nc: ''", {"a": -5, "b": None, "c": ""}),
        ('{"a": "\\ud83d\\ude00", "b": -1, "c": null}', {"a": "😀", "b": -1, "c": None}),
        ("{a: 1}", {"a": 1}),
        ("", None),
        ("# nothing\n", None),
    ],
)
def test_scalars_mean_what_they_look_like(text, value):
    assert read_markup(text) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: {c: 1, c: 2}\na: 3", ["b.c: the key is there twice (line 2)",
                                        "a: the key is there twice (line 3)"]),
        ('{"a": 1, "a": 2}', ["a: the key is there twice"]),
        ("a: &x 1\nb: 2", ["a: anchors are not supported (&x); write it out"]),
        ("a: 1\nb: *x", ["b: aliases are not supported (*x); write it out"]),
        ("a:\n  <<: {b: 1}", ['a."<<": merge keys are not supported; write it out']),
        ("a: !!python/object:os.system x", [
            "a: tags are not supported (tag:yaml.org,2002:python/object:os.system)"]),
        ("a: !mine [1]", ["a: tags are not supported (!mine)"]),
        ("a: 1\n---\nb: 1", ["document: is followed by another one"]),
        ("? [a, b]\n: 1", ["document: a key is a text, no mapping or sequence"]),
        ("[" * 100_000, ["document: is nested too deeply"]),
        ('{"a":' * 100_000, ["document: is nested too deeply"]),
        ('{"a":' * 40 + "1" + "}" * 40, ["document: is nested too deeply"]),
        ('{"a": 1.5}', ["document: holds a number that is no integer: 1.5"]),
        ('{"a": NaN}', ["document: holds a number that is no integer: NaN"]),
        ('{"a": 99999999999999999999}',
         ["document: holds a number out of range: 99999999999999999999"]),
        ("a: [", ["line 2, column 1: did not find expected node content"]),
        ("a: \ud800", ["document: is no valid Unicode"]),
        ("#" * (MAX_BYTES + 1), [f"document: is larger than {MAX_BYTES} bytes"]),
    ],
)  # fmt: skip
def test_what_could_mislead_is_refused(text, problem):
    with pytest.raises(InvalidMap) as caught:
        read_markup(text)

    assert [str(one) for one in caught.value.problems] == problem


def test_an_alias_bomb_is_refused_before_it_grows():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 12)
    ]

    with pytest.raises(InvalidMap, match="anchors are not supported"):
        read_markup("\n".join(lines))


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text(),
    lambda members: st.lists(members, max_size=4) | st.dictionaries(st.text(), members, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(), plain, max_size=4))
def test_any_json_is_read_as_json_reads_it(value):
    assert read_markup(json.dumps(value)) == value


@settings(deadline=None)
@given(st.text(alphabet="ab:-[]{}&*!|>'\"#?%@`,\n \t~<1.", max_size=60))
def test_no_text_leads_to_anything_but_a_value_or_the_named_error(text):
    with suppress(InvalidMap):
        read_markup(text)
