"""What people are told of tables and functions, as one role may use them: values, read from rows."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

DOCUMENTATION: Final = files("router.catalogue").joinpath("documentation.sql").read_text()
"""Takes the names of the schemas as `$1` and a role as `$2`; gives one row of three JSON arrays."""


@dataclass(frozen=True, slots=True)
class ColumnNotes:
    """One column. `type` is spelled as PostgreSQL shows it to people, a domain as its base type."""

    type: str
    comment: str | None
    default: str | None
    """The expression that gives the value of a new row."""
    max_length: int | None
    """Characters or bits."""
    labels: tuple[str, ...]
    """Of an enum type, in its order; else none."""


@dataclass(frozen=True, slots=True)
class RelationNotes:
    """A table or view, and what the role may do with any of its columns."""

    comment: str | None
    columns: Mapping[str, ColumnNotes]
    selectable: bool
    insertable: bool
    updatable: bool
    deletable: bool

    @property
    def usable(self) -> bool:
        """Whether the role may do anything with it."""
        return self.selectable or self.insertable or self.updatable or self.deletable


@dataclass(frozen=True, slots=True)
class RoutineNotes:
    """A function. The types of its arguments are spelled as those of columns."""

    arguments: tuple[str, ...]
    comment: str | None
    executable: bool


@dataclass(frozen=True, slots=True)
class Documentation:
    """Of one database, for one role."""

    role: str
    schemas: Mapping[str, str | None]
    """The comments of schemas by name."""
    relations: Mapping[tuple[str, str], RelationNotes]
    """By schema and name."""
    routines: Mapping[tuple[str, str], tuple[RoutineNotes, ...]]
    """By schema and name, each in the order in which they were made."""

    def with_relations_of(
        self, other: "Documentation", names: Collection[tuple[str, str]]
    ) -> "Documentation":
        """The same, but for some relations what another database says."""
        kept = {name: notes for name, notes in self.relations.items() if name not in names}
        taken = {name: notes for name, notes in other.relations.items() if name in names}
        ordered = dict(sorted((kept | taken).items()))
        return Documentation(self.role, self.schemas, ordered, self.routines)


def read_documentation(role: str, row: Mapping[str, Any]) -> Documentation:
    """What the row of `DOCUMENTATION` says."""
    routines: dict[tuple[str, str], tuple[RoutineNotes, ...]] = {}
    for each in json.loads(row["routines"]):
        key = (each["schema"], each["name"])
        notes = RoutineNotes(tuple(each["arguments"]), each["comment"], bool(each["executable"]))
        routines[key] = (*routines.get(key, ()), notes)
    return Documentation(
        role,
        {each["schema"]: each["comment"] for each in json.loads(row["schemas"])},
        {
            (each["schema"], each["relation"]): RelationNotes(
                each["comment"],
                _columns(each["columns"]),
                selectable=bool(each["may"]["select"]),
                insertable=bool(each["may"]["insert"]),
                updatable=bool(each["may"]["update"]),
                deletable=bool(each["may"]["delete"]),
            )
            for each in json.loads(row["relations"])
        },
        routines,
    )


def _columns(described: Sequence[Mapping[str, Any]]) -> Mapping[str, ColumnNotes]:
    return {
        each["name"]: ColumnNotes(
            each["type"],
            each["comment"],
            each["default"],
            each["max_length"],
            tuple(each["labels"]),
        )
        for each in described
    }
