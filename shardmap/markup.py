"""YAML or JSON text to plain values, with nothing in it that a reader would not see.

JSON is what starts with `{` and parses as JSON; everything else is YAML. Of YAML, the part that
means what it looks like: mappings, sequences and scalars. Refused are duplicate keys (the last
would win), anchors and aliases (a few lines become gigabytes), tags, merge keys and several
documents. Keys are text as written. Plain scalars follow YAML 1.2's core schema: `true`, `false`,
`null` and decimal integers without leading zeros; all others, `no` and `1_000` among them, are
text.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Never

import yaml

from shardmap.errors import InvalidMap, Problem

MAX_BYTES: Final = 8 * 1024 * 1024
"""A map of 4,096 scattered slots and 100,000 pins is about half of it."""
MAX_DEPTH: Final = 32
"""A map document is five deep."""

Plain = str | int | bool | None | list["Plain"] | dict[str, "Plain"]
"""What JSON can say, without fractions."""

_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,18})", re.ASCII)
_CONSTANTS: Final[dict[str, Plain]] = {
    "": None,
    "~": None,
    "null": None,
    "true": True,
    "false": False,
}
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same events, ten times faster


def read_markup(text: str) -> Plain:
    """The value of a YAML or JSON document.

    Raises:
        InvalidMap: Too large, too deep, not well-formed, or one of the things refused. All
            duplicate keys are reported together; an error of syntax ends the reading.
    """
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError as error:
        _fail("document", "is no valid Unicode", error)
    if size_bytes > MAX_BYTES:
        _fail("document", f"is larger than {MAX_BYTES} bytes")
    problems: list[Problem] = []
    if text.lstrip().startswith("{"):
        try:
            value = _json(text, problems)
        except json.JSONDecodeError:
            problems.clear()
            value = _yaml(text, problems)
    else:
        value = _yaml(text, problems)
    if problems:
        raise InvalidMap(problems)
    return value


def dotted(path: str, key: str | int) -> str:
    """The path of a member: `shards.shard_0`, `replicas[1]`, `pins."a b"`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not re.fullmatch(r"[A-Za-z0-9_.:@/+-]{1,80}", key):
        key = json.dumps(key[:80], ensure_ascii=False)
    return f"{path}.{key}" if path else key


def _fail(path: str, message: str, cause: BaseException | None = None) -> Never:
    raise InvalidMap([Problem(path, message)]) from cause


def _json(text: str, problems: list[Problem]) -> Plain:
    def mapping(pairs: Iterable[tuple[str, Plain]]) -> dict[str, Plain]:
        members: dict[str, Plain] = {}
        for key, value in pairs:
            if key in members:
                # The decoder works from the inside out, so the path above is not known here.
                problems.append(Problem(dotted("", key), "the key is there twice"))
            members[key] = value
        return members

    try:
        value: Plain = json.loads(
            text,
            object_pairs_hook=mapping,
            parse_int=_json_integer,
            parse_float=_json_fraction,
            parse_constant=_json_fraction,
        )
    except RecursionError as error:
        _fail("document", "is nested too deeply", error)
    if _depth(value) > MAX_DEPTH:
        _fail("document", "is nested too deeply")
    return value


def _json_integer(digits: str) -> int:
    if not _INTEGER.fullmatch(digits):
        _fail("document", f"holds a number out of range: {digits[:40]}")
    return int(digits)


def _json_fraction(digits: str) -> Never:
    _fail("document", f"holds a number that is no integer: {digits[:40]}")


def _depth(value: Plain) -> int:
    deepest = 0
    queue: list[tuple[Plain, int]] = [(value, 1)]
    while queue:
        current, depth = queue.pop()
        deepest = max(deepest, depth)
        match current:
            case dict():
                queue.extend((member, depth + 1) for member in current.values())
            case list():
                queue.extend((member, depth + 1) for member in current)
    return deepest


@dataclass(slots=True)
class _Open:
    """A mapping or sequence whose end has not been met."""

    path: str
    members: dict[str, Plain] | list[Plain]
    key: str | None = None
    twice: list[str] = field(default_factory=list)

    @property
    def member_path(self) -> str:
        """The path of the member that comes next."""
        if isinstance(self.members, list):
            return dotted(self.path, len(self.members))
        return dotted(self.path, self.key or "")


def _yaml(text: str, problems: list[Problem]) -> Plain:
    """Build the value from parser events: no recursion, and aliases are seen before they cost."""
    root: list[Plain] = []
    open_nodes: list[_Open] = [_Open("", root)]
    for event in _events(text):
        node = open_nodes[-1]
        path = node.member_path if len(open_nodes) > 1 else ""
        _refuse_hidden(event, path or "document")
        match event:
            case yaml.ScalarEvent():
                _place(node, _scalar(event), event, problems)
            case yaml.CollectionStartEvent():
                if isinstance(node.members, dict) and node.key is None:
                    _fail(node.path or "document", "a key is a text, no mapping or sequence")
                if len(open_nodes) > MAX_DEPTH:
                    _fail("document", "is nested too deeply")
                mapping = isinstance(event, yaml.MappingStartEvent)
                open_nodes.append(_Open(path, {} if mapping else []))
            case yaml.CollectionEndEvent():
                done = open_nodes.pop()
                _add(open_nodes[-1], done.members)
            case yaml.DocumentStartEvent() if root:
                _fail("document", "is followed by another one")
    return root[0] if root else None


def _refuse_hidden(event: yaml.Event, where: str) -> None:
    """Fail at whatever makes a document mean something else than it shows."""
    match event:
        case yaml.AliasEvent():
            _fail(where, f"aliases are not supported (*{event.anchor}); write it out")
        case yaml.NodeEvent() if event.anchor is not None:
            _fail(where, f"anchors are not supported (&{event.anchor}); write it out")
        case yaml.ScalarEvent() if event.tag is not None and not any(event.implicit):
            _fail(where, f"tags are not supported ({event.tag})")
        case yaml.CollectionStartEvent() if event.tag is not None:
            _fail(where, f"tags are not supported ({event.tag})")


def _events(text: str) -> Iterator[yaml.Event]:
    parse: Callable[..., Iterator[yaml.Event]] = yaml.parse
    try:
        yield from parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "document"
        _fail(place, error.problem or error.context or "is not well-formed", error)
    except yaml.YAMLError as error:
        _fail("document", str(error).splitlines()[0], error)


def _scalar(event: yaml.ScalarEvent) -> Plain:
    if not event.implicit[0]:  # quoted, or a block of text
        return event.value
    if event.value in _CONSTANTS:
        return _CONSTANTS[event.value]
    return int(event.value) if _INTEGER.fullmatch(event.value) else event.value


def _place(node: _Open, value: Plain, event: yaml.ScalarEvent, problems: list[Problem]) -> None:
    """The scalar is a key where one is due, else a member."""
    if isinstance(node.members, list) or node.key is not None:
        _add(node, value)
        return
    key = event.value
    if key == "<<" and event.implicit[0]:
        _fail(dotted(node.path, key), "merge keys are not supported; write it out")
    if key in node.members:
        line = event.start_mark.line + 1 if event.start_mark else 0
        problems.append(Problem(dotted(node.path, key), f"the key is there twice (line {line})"))
    node.key = key


def _add(node: _Open, value: Plain) -> None:
    if isinstance(node.members, list):
        node.members.append(value)
    elif node.key is not None:
        node.members[node.key] = value
        node.key = None
