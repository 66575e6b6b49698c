"""JSON without loss: numbers keep their digits, members their text, arrays their elements."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.rest import exact_json
from server.rest.operands import array_literal, listed

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
    .filter(lambda value: value not in {float("inf"), float("-inf")}),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
)  # fmt: skip
spaces = st.text(alphabet=" \t\r\n", max_size=2)


@pytest.mark.parametrize("number", ["1.50", "-0", "1e400", "12345678901234567890.10", "1E-7"])
def test_a_number_is_written_as_it_was_read(number):
    assert exact_json.dumps(exact_json.loads(f"[{number}]")) == f"[{number}]"


@given(value=values)
def test_what_is_written_is_the_same_value(value):
    text = json.dumps(value, ensure_ascii=False)

    assert json.loads(exact_json.dumps(exact_json.loads(text))) == json.loads(text)


@given(items=st.dictionaries(st.text(), values, max_size=4), space=spaces)
def test_members_are_cut_at_their_exact_texts(items, space):
    texts = {name: json.dumps(value) for name, value in items.items()}
    text = (
        f"{{{space}"
        + ",".join(
            f"{space}{json.dumps(name)}{space}:{space}{value}{space}"
            for name, value in texts.items()
        )
        + "}"
    )

    found = exact_json.members(text)

    assert {name: member.text for name, member in found.items()} == texts


def test_the_last_member_of_a_name_counts():
    assert exact_json.members('{"a":1,"a":2}')["a"].text == "2"


@pytest.mark.parametrize("text", ["[NaN]", "[Infinity]", "[", "", "[1] x"])
def test_what_is_no_json_is_not_read(text):
    with pytest.raises(ValueError, match=r".*"):
        exact_json.loads(text)


@given(items=st.lists(st.text(alphabet=st.characters(exclude_characters='",()'), min_size=1)))
def test_a_list_of_plain_texts_needs_no_quotes(items):
    assert listed(f"({','.join(items)})") == items


@given(items=st.lists(st.text()))
def test_a_quoted_list_holds_any_text(items):
    escaped = [item.replace("\\", "\\\\").replace('"', '\\"') for item in items]

    assert listed("(" + ",".join(f'"{item}"' for item in escaped) + ")") == items


def test_an_array_literal_quotes_every_element():
    assert array_literal(["a,b", 'q"', "\\", "", None, ["NULL"]]) == (
        '{"a,b","q\\"","\\\\","",NULL,{"NULL"}}'
    )
