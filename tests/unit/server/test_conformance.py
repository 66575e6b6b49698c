"""docs/conformance.md names tests that exist, and says of most lines that they work."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
TEXT = (TESTS.parent / "docs" / "conformance.md").read_text("utf-8")
COUNTED, _, BESIDE = TEXT.partition("## Beside the count")

ANSWERED = 0.97
"""The least share of lines that work, or are refused across shards."""
INAPPLICABLE = 0.05
"""The largest share of lines that are not applicable."""

ROW = re.compile(r"^\| (.+?) \| ([^|]+) \| ([^|]*) \|$", re.MULTILINE)
STATE = re.compile(
    r"works|not yet|refused across \((?:PGRST|P|)[0-9A-Z_]+\)|not applicable: .{10,}"
)


def lines(text):
    """What each line is about, its state, and the tests that it names."""
    rows = ROW.findall(text.replace("\\|", "/"))
    return [
        (line, state.strip(), re.findall(r"`([^`]+)`", tests))
        for line, state, tests in rows
        if line not in {"line", "---"}
    ]


def named(text):
    return {test for _, _, tests in lines(text) for test in tests}


def test_every_line_has_a_state_and_what_is_answered_names_its_tests():
    found = lines(TEXT)

    assert len(found) > 150
    for line, state, tests in found:
        assert STATE.fullmatch(state), (line, state)
        assert tests or not state.startswith(("works", "refused")), line


def test_every_test_that_is_named_exists():
    paths = {str(path.relative_to(TESTS))[:-3]: path for path in TESTS.rglob("test_*.py")}
    for test in sorted(named(TEXT)):
        place, _, name = test.partition("::")
        found = [path for known, path in paths.items() if f"/{known}".endswith(f"/{place}")]
        assert len(found) == 1, (test, found)
        assert f"def {name}(" in found[0].read_text("utf-8"), test


def test_most_lines_are_answered_and_few_are_not_applicable():
    states = [state.partition(":")[0].partition(" (")[0] for _, state, _ in lines(COUNTED)]
    counted = [state for state in states if state != "not applicable"]

    answered = sum(state != "not yet" for state in counted) / len(counted)

    assert answered >= ANSWERED, answered
    assert 1 - len(counted) / len(states) <= INAPPLICABLE
