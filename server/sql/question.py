"""What a request to the SQL door asks: statements with values, and how they are to be answered."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from router import WORDS, Consistency, Isolation, read_consistency
from server.rest import exact_json
from server.sql.errors import SqlMalformed

E = TypeVar("E", bound=StrEnum)

MAX_PARAMETERS: Final = 32_767
"""More than that PostgreSQL's protocol cannot count."""

_TEXTS: Final = ("sql", "statement", "query")
_VALUES: Final = ("params", "parameters")
_KEYS: Final = frozenset(
    {*_TEXTS, *_VALUES, "statements", "read_only", "format", "isolation", "consistency"}
)


class Layout(StrEnum):
    """What a row is in an answer."""

    ROWS = "rows"
    """An array, in the order of the columns."""
    JSON = "json"
    """An object, by the names of the columns."""


DEFAULT: Final = "default"
SNAPSHOT: Final = "snapshot"
"""What `consistency` may be besides the policies: what holds anyway, or one snapshot of all shards."""


@dataclass(frozen=True, slots=True)
class Question:
    """One statement. Numbers among the values are `exact_json.Number`, so they keep their digits."""

    sql: str
    params: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request. `together`: its statements are one transaction."""

    questions: tuple[Question, ...]
    together: bool
    read_only: bool
    layout: Layout
    isolation: Isolation
    snapshot: bool
    """Several shards are read at one moment, see docs/isolation.md."""
    consistency: Consistency | None
    """How fresh the read is, see docs/freshness.md; None: as the settings have it."""


def asked_of(body: bytes, *, most: int) -> Asked:
    """What the body of a request asks; at most so many statements.

    Raises:
        SqlMalformed: It is no JSON object, or says something that is not understood.
    """
    form = json_object(body)
    check_keys(form, _KEYS)
    listed = form.get("statements")
    named = [key for key in _TEXTS if key in form]
    if (listed is None) != (len(named) == 1):
        raise SqlMalformed("The body needs either sql or statements")
    if listed is not None and "consistency" in form:
        raise SqlMalformed("consistency is of a single statement; a transaction is on one shard")
    if listed is None:
        if "isolation" in form:
            raise SqlMalformed("isolation is of a transaction: send statements")
        questions: tuple[Question, ...] = (question_of(form),)
    else:
        questions = _listed(form, listed, most)
    snapshot, consistency = _consistency(form)
    return Asked(
        questions=questions,
        together=listed is not None,
        read_only=truth(form, "read_only"),
        layout=layout_of(form),
        isolation=isolation_of(form),
        snapshot=snapshot,
        consistency=consistency,
    )


def question_of(form: dict[str, Any]) -> Question:
    """The one statement of an object.

    Raises:
        SqlMalformed: It has none, or values that are no list.
    """
    named = [key for key in _TEXTS if key in form]
    if len(named) != 1:
        raise SqlMalformed("A statement needs sql")
    sql = form[named[0]]
    if not isinstance(sql, str) or isinstance(sql, exact_json.Number):
        raise SqlMalformed(f"{named[0]} must be text")
    given = [form[key] for key in _VALUES if form.get(key) is not None]
    params = given[0] if given else []
    if len(given) > 1 or not isinstance(params, list):
        raise SqlMalformed("params must be a list")
    if len(params) > MAX_PARAMETERS:
        raise SqlMalformed(f"params holds more than {MAX_PARAMETERS} values")
    return Question(sql, tuple(params))


def layout_of(form: dict[str, Any]) -> Layout:
    """What a row of the answer is to be."""
    return _member(form, "format", Layout, Layout.ROWS)


def isolation_of(form: dict[str, Any]) -> Isolation:
    """How the transaction is to be isolated."""
    return _member(form, "isolation", Isolation, Isolation.READ_COMMITTED)


def truth(form: dict[str, Any], key: str) -> bool:
    """The value of a key that is true, false or not there."""
    value = form.get(key)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise SqlMalformed(f"{key} must be true or false")
    return value


def json_object(body: bytes | str) -> dict[str, Any]:
    """The JSON object of a body, its numbers as they were written.

    Raises:
        SqlMalformed: It is none.
    """
    try:
        form = exact_json.loads(body if isinstance(body, str) else body.decode())
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise SqlMalformed("The body must be one JSON object") from error
    if not isinstance(form, dict):
        raise SqlMalformed("The body must be one JSON object")
    return form


def check_keys(form: dict[str, Any], known: frozenset[str]) -> None:
    """Refuse what would be ignored.

    Raises:
        SqlMalformed: Names the first unknown key.
    """
    unknown = form.keys() - known
    if unknown:
        raise SqlMalformed(f"Unknown key in the body: {min(unknown)[:80]}")


def _consistency(form: dict[str, Any]) -> tuple[bool, Consistency | None]:
    """Whether one snapshot is asked for, else the policy, if there is one."""
    value = form.get("consistency")
    if value is None:
        return False, None
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in {DEFAULT, SNAPSHOT}:
        return word == SNAPSHOT, None
    found = read_consistency(word)
    if found is None:
        raise SqlMalformed(f"consistency must be one of {DEFAULT}, {SNAPSHOT}, {WORDS}")
    return False, found


def _listed(form: dict[str, Any], listed: Any, most: int) -> tuple[Question, ...]:
    if any(key in form for key in _VALUES):
        raise SqlMalformed("params belong to the statement that takes them")
    if not isinstance(listed, list) or not listed:
        raise SqlMalformed("statements must be a list that holds some")
    if len(listed) > most:
        raise SqlMalformed(f"statements holds more than {most}")
    found = []
    for each in listed:
        part = {"sql": each} if isinstance(each, str) else each
        if not isinstance(part, dict):
            raise SqlMalformed("statements must hold objects with sql and params")
        check_keys(part, frozenset({*_TEXTS, *_VALUES}))
        found.append(question_of(part))
    return tuple(found)


def _member(form: dict[str, Any], key: str, kind: type[E], default: E) -> E:
    value = form.get(key)
    if value is None:
        return default
    words = ", ".join(kind)
    if not isinstance(value, str) or value.lower().replace("_", " ") not in tuple(kind):
        raise SqlMalformed(f"{key} must be one of {words}")
    return kind(value.lower().replace("_", " "))
