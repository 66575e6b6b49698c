"""An explanation for people: what is decided first, then why, then what each shard runs."""

from collections.abc import Iterator
from typing import Any, Final

_WIDTH: Final = 9


def explanation_text(found: dict[str, Any]) -> str:
    """The lines of an explanation's document."""
    return "".join(f"{line}\n" for line in _lines(found))


def _lines(found: dict[str, Any]) -> Iterator[str]:
    refusal = found["refusal"]
    if refusal is not None:
        yield _row("refused", f"{refusal['code']}: {refusal['message']}")
        if refusal["hint"]:
            yield _row("hint", refusal["hint"])
        yield _row("map", f"epoch {found['map_epoch']}")
        return
    yield _row("access", found["access"])
    yield _row("route", f"{found['route']}: {', '.join(found['shards'])}")
    yield _row("rule", found["rule"])
    for home in found["tenants"]:
        unit = f"its {home['unit']}, epoch {home['unit_epoch']}"
        yield _row("tenant", f"{home['tenant']}: slot {home['slot']}, {unit}, on {home['shard']}")
    yield _row("map", f"epoch {found['map_epoch']}")
    yield _row("combine", found["combine"])
    yield _row("reply", found["reply"])
    yield _row("claims", "sent before the statement" if found["claims"] else "not needed")
    for endpoint in found.get("endpoints", ()):
        yield _row("endpoint", f"{endpoint['shard']}: {endpoint['endpoint']}, {endpoint['why']}")
    yield from _statements(found["statements"])


def _statements(statements: list[dict[str, Any]]) -> Iterator[str]:
    """Each text once, with the shards that run it."""
    shards: dict[str, list[str]] = {}
    first: dict[str, dict[str, Any]] = {}
    for statement in statements:
        shards.setdefault(statement["sql"], []).append(statement["shard"])
        first.setdefault(statement["sql"], statement)
    for sql, named in shards.items():
        yield ""
        yield f"{', '.join(named)}:"
        yield from (f"  {line}" for line in sql.splitlines())
        for number, argument in enumerate(first[sql]["args"], 1):
            value = "NULL" if argument["value"] is None else argument["value"]
            yield f"  ${number} = {value}  ({argument['origin']})"


def _row(name: str, value: str) -> str:
    return f"{name:<{_WIDTH}} {value}"
