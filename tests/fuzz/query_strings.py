"""A grammar fuzzer of the query string, against a running server.

    python -m tests.fuzz.query_strings http://127.0.0.1:8080 KEY --minutes 10 --seed 1

It learns the tables from the document at /rest/v1/, asks both dialects for what the grammar gives, some of it
broken, and ends with 1 at the first answer of 500 or more, or that takes too long. Values hold a mark by
which tests find them again: no mark may be in the text of a statement.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import httpx

MARK = "zq7"
MOST_S = 20.0
"""An answer that takes longer is a hang."""

_PLAIN = "eq neq gt gte lt lte like ilike match imatch isdistinct cs cd ov sl sr nxr nxl adj fts plfts phfts wfts nin is isnot"
_BROKEN = [*"(){}[],.:*\"'\\-> %+&=!", "->>", "::", "not.", "or(", "...", "%00", "é", "()", "null"]


@dataclass(frozen=True)
class Place:
    """What can be asked of: a table or a function, with its columns and what it is related to."""

    path: str
    columns: tuple[str, ...]
    related: tuple[str, ...] = ()


class Grammar:
    """Query strings, the same ones for the same seed."""

    def __init__(self, seed: int, places: list[Place]) -> None:
        self._chance = random.Random(seed)
        self._places = places

    def requests(self) -> Iterator[tuple[str, str]]:
        """Methods and URLs without end."""
        while True:
            place = self._chance.choice(self._places)
            dialect = self._chance.choice(("/rest/v1", "/api/v1/tables"))
            pairs = [self._pair(place, dialect) for _ in range(self._chance.randint(0, 4))]
            safe = self._chance.choice(("", '()*,.:->{}[]"!'))
            query = "&".join(
                f"{quote(name, safe=safe)}={quote(value, safe=safe)}" for name, value in pairs
            )
            if self._maybe(0.25):
                query = self._damaged(query)
            yield (
                self._chance.choice(("GET", "GET", "GET", "HEAD")),
                f"{dialect}{place.path}?{query}",
            )

    def _maybe(self, share: float) -> bool:
        return self._chance.random() < share

    def _damaged(self, query: str) -> str:
        for _ in range(self._chance.randint(1, 3)):
            at = self._chance.randrange(len(query) + 1)
            cut = self._chance.choice((0, 0, 1, 3))
            query = (
                query[:at]
                + quote(self._chance.choice(_BROKEN), safe="()*,.:-%&=")
                + query[at + cut :]
            )
        return query

    def _pair(self, place: Place, dialect: str) -> tuple[str, str]:
        match self._chance.randrange(10):
            case 0:
                return "select", self._select(place, 2)
            case 1:
                return "order", ",".join(
                    self._ordered(place) for _ in range(self._chance.randint(1, 3))
                )
            case 2:
                return self._chance.choice(("limit", "offset")), self._number()
            case 3 | 4:
                key = self._chance.choice(("or", "and", "not.or", "not.and"))
                return key, f"({self._group(place, 3)})"
            case 5 if dialect == "/api/v1/tables":
                return self._chance.choice(
                    (
                        ("count", "exact"),
                        ("count", "planned"),
                        ("truncate", "3"),
                        ("group_by", self._column(place)),
                    )
                )
            case 5 if place.related:
                inner = self._chance.choice(place.related)
                return f"{inner}.{self._chance.choice(('id', 'order', 'limit'))}", self._operation()
            case _:
                return self._path(place), self._operation()

    def _column(self, place: Place) -> str:
        if not place.columns or self._maybe(0.05):
            return self._chance.choice(("nothing", "", '"a b"', "a.b"))
        return self._chance.choice(place.columns)

    def _path(self, place: Place) -> str:
        steps = self._chance.choice(("", "", "", "->a", "->>a", "->0", "->a->>b", "->-1"))
        return self._column(place) + steps

    def _number(self) -> str:
        return self._chance.choice(("0", "1", "5", "1000", "-1", "99999999999999999999", "x", ""))

    def _value(self) -> str:
        return self._chance.choice(
            (
                f"{MARK}{self._chance.randrange(16**4):04x}",
                f"71{self._chance.randrange(10**6):06}",
                "1", "-1.5", "true", "null", "", "*", "%", "2024-01-01", "a'b", 'a"b', "\\", "é", "{}", "[]",
                '{"a":1}', "9" * 30, "NaN", "infinity", f"{MARK}'; --", f"$1{MARK}",
            )
        )  # fmt: skip

    def _listed(self) -> str:
        items = [self._value() for _ in range(self._chance.randint(0, 4))]
        return ",".join(f'"{item}"' if self._maybe(0.3) else item for item in items)

    def _operation(self) -> str:
        negated = "not." if self._maybe(0.2) else ""
        operator = self._chance.choice(_PLAIN.split())
        match self._chance.randrange(8):
            case 0:
                return f"{negated}in.({self._listed()})"
            case 1:
                return f"{negated}{operator}({self._chance.choice(('any', 'all', 'english', 'x'))}).{{{self._listed()}}}"
            case 2:
                return f"{negated}{operator}.{{{self._listed()}}}"
            case 3:
                return f"{negated}is.{self._chance.choice(('null', 'not_null', 'true', 'unknown', 'x'))}"
            case 4:
                return f"{operator}.{self._chance.choice('[(')}{self._value()},{self._value()}{self._chance.choice('])')}"
            case _:
                return f"{negated}{operator}.{self._value()}"

    def _group(self, place: Place, depth: int) -> str:
        items = []
        for _ in range(self._chance.randint(1, 3)):
            if depth and self._maybe(0.3):
                word = self._chance.choice(("or", "and", "not.or", "not.and"))
                items.append(f"{word}({self._group(place, depth - 1)})")
            else:
                items.append(f"{self._path(place)}.{self._operation()}")
        return ",".join(items)

    def _ordered(self, place: Place) -> str:
        way = self._chance.choice(("", ".asc", ".desc", ".up"))
        return self._path(place) + way + self._chance.choice(("", "", ".nullsfirst", ".nullslast"))

    def _select(self, place: Place, depth: int) -> str:
        items = []
        for _ in range(self._chance.randint(1, 4)):
            if depth and place.related and self._maybe(0.3):
                inner = self._chance.choice(place.related)
                spread = self._chance.choice(("", "", "..."))
                hint = self._chance.choice(("", "", "!inner", "!left", "!x"))
                items.append(f"{spread}{inner}{hint}({self._select(place, depth - 1)})")
            else:
                alias = self._chance.choice(("", "", "al:", '"a b":'))
                cast = self._chance.choice(("", "", "::text", "::int", "::nothing"))
                total = self._chance.choice(("", "", "", ".sum()", ".count()"))
                items.append(
                    f"{alias}{self._chance.choice((self._path(place), '*', 'count()'))}{total}{cast}"
                )
        return ",".join(items)


def places_of(document: dict) -> list[Place]:
    """The tables that an OpenAPI 2.0 document describes."""
    found = []
    for name, definition in document["definitions"].items():
        columns = tuple(definition["properties"])
        related = tuple(
            part.split("'")[1]
            for column in definition["properties"].values()
            for part in column.get("description", "").split("<fk table=")[1:]
        )
        found.append(Place(f"/{quote(name, safe='')}", columns, related))
    return found


def main() -> int:
    """Fuzz for so long; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("url")
    parser.add_argument("key")
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    options = parser.parse_args()
    print(f"seed {options.seed}")
    headers = {"Authorization": f"Bearer {options.key}"}
    statuses: dict[int, int] = {}
    slowest = 0.0
    end = time.monotonic() + options.minutes * 60
    with httpx.Client(base_url=options.url, headers=headers, timeout=MOST_S) as client:
        grammar = Grammar(
            options.seed, places_of(client.get("/rest/v1/").raise_for_status().json())
        )
        for method, url in grammar.requests():
            if time.monotonic() > end:
                break
            began = time.monotonic()
            try:
                response = client.request(method, url)
            except httpx.TransportError as error:
                print(f"BROKEN {type(error).__name__}: {method} {url}")
                return 1
            slowest = max(slowest, time.monotonic() - began)
            statuses[response.status_code] = statuses.get(response.status_code, 0) + 1
            if response.status_code >= 500:
                print(f"BROKEN {response.status_code}: {method} {url}\n{response.text}")
                return 1
    print(
        f"{sum(statuses.values())} requests, slowest {slowest:.2f} s, by status {dict(sorted(statuses.items()))}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
