"""Policies of freshness as they are written."""

import pytest

from router import ANY, SESSION, STRONG, TENANT, Consistency, Policy, read_consistency


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("session", SESSION),
        ("tenant", TENANT),
        (" Strong ", STRONG),
        ("any", ANY),
        ("bounded=500ms", Consistency(Policy.BOUNDED, 0.5)),
        ("bounded=2s", Consistency(Policy.BOUNDED, 2.0)),
        ("bounded(250ms)", Consistency(Policy.BOUNDED, 0.25)),
    ],
)
def test_a_policy_is_a_word_and_perhaps_a_bound(text, meant):
    assert read_consistency(text) == meant


@pytest.mark.parametrize(
    "text",
    ["", "eventual", "bounded", "bounded=", "bounded=0ms", "bounded=-1ms", "bounded=4000s",
     "bounded=1h", "bounded(5ms", "bounded=5ms)", "strong=1"],
)  # fmt: skip
def test_what_is_no_policy_is_none(text):
    assert read_consistency(text) is None


@pytest.mark.parametrize("text", ["session", "tenant", "strong", "any", "bounded=1500ms"])
def test_a_policy_is_written_as_it_is_read(text):
    found = read_consistency(text)

    assert found is not None
    assert found.text() == text
