"""Parameters about relations, put where they belong: `rel.col=…`, `rel.order=…`, `rel=is.null`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from server.rest.embed_errors import EmbedOperatorInvalid, EmbedUnknown
from server.rest.filters import Compare, Condition, Field, Group, Is, Negation, Test, Unrelated
from server.rest.request import Embed, Item, Sort

Path = tuple[str, ...]
"""Names of relations, from the outermost in."""


@dataclass(slots=True)
class Parts:
    """What the parameters say about one relation, or about the table itself."""

    where: list[Condition] = field(default_factory=list)
    order: tuple[Sort, ...] = ()
    limit: int | None = None
    offset: int | None = None


def attached(items: Sequence[Item], parts: Mapping[Path, Parts]) -> tuple[Item, ...]:
    """The items with what the parameters say about their relations.

    Raises:
        EmbedUnknown: A parameter is about a relation that is not selected.
        EmbedOperatorInvalid: A relation is compared with a value.
    """
    taken: set[Path] = {()}
    found = _attached(items, parts, (), taken)
    for path in parts:
        if path not in taken:
            raise EmbedUnknown(path[-1])
    return found


def related(conditions: Sequence[Condition], items: Sequence[Item]) -> tuple[Condition, ...]:
    """The conditions, where a name of a selected relation means the relation.

    Raises:
        EmbedOperatorInvalid: A relation is compared with a value.
    """
    names = {name for item in items if isinstance(item, Embed) for name in names_of(item)}
    if not names:
        return tuple(conditions)
    return tuple(_related(each, names) for each in conditions)


def misnamed(
    items: Sequence[Item],
    parts: Mapping[Path, Parts],
    where: Sequence[Condition],
    order: Sequence[Sort],
) -> Iterator[str]:
    """Warnings of parameters that do not call a relation by its alias."""
    tested = {name for each in where for name in _tested(each)}
    tested |= {key.relation for key in order if key.relation is not None}
    tested |= {path[0] for path in parts if path}
    aliases = {item.name for item in items if isinstance(item, Embed)}
    for item in items:
        if not isinstance(item, Embed):
            continue
        plain = item.alias is not None and item.relation not in aliases
        if plain and item.relation in tested:
            yield f"'{item.relation}' is called '{item.alias}' in select: filter by that name"
        own = {path[1:]: part for path, part in parts.items() if path and path[0] in names_of(item)}
        here = own.get((), Parts())
        yield from misnamed(item.outputs, own, here.where, here.order)


def _tested(condition: Condition) -> Iterator[str]:
    match condition:
        case Group(members):
            for each in members:
                yield from _tested(each)
        case Negation(inner):
            yield from _tested(inner)
        case Is(Field(column, ()), Test.NULL | Test.NOT_NULL):
            yield column
        case _:
            pass


def names_of(embed: Embed) -> tuple[str, ...]:
    """What parameters may call it: its alias, or what the client wrote as its relation."""
    return (embed.name,) if embed.alias is None else (embed.alias, embed.relation)


def _attached(
    items: Sequence[Item], parts: Mapping[Path, Parts], path: Path, taken: set[Path]
) -> tuple[Item, ...]:
    found: list[Item] = []
    for item in items:
        if not isinstance(item, Embed):
            found.append(item)
            continue
        name = next((each for each in names_of(item) if _about(parts, (*path, each))), item.name)
        inner = (*path, name)
        taken.add(inner)
        own = parts.get(inner, Parts())
        found.append(
            replace(
                item,
                outputs=_attached(item.outputs, parts, inner, taken),
                where=related(own.where, item.outputs),
                order=own.order,
                limit=own.limit,
                offset=own.offset,
            )
        )
    return tuple(found)


def _about(parts: Mapping[Path, Parts], path: Path) -> bool:
    return any(each[: len(path)] == path for each in parts)


def _related(condition: Condition, names: set[str]) -> Condition:
    match condition:
        case Group(members, every):
            return Group(tuple(_related(each, names) for each in members), every)
        case Negation(inner):
            return Negation(_related(inner, names))
        case Is(Field(column, ()), Test.NULL) if column in names:
            return Unrelated(column)
        case Is(Field(column, ()), Test.NOT_NULL) if column in names:
            return Negation(Unrelated(column))
        case Is(Field(column, ())) | Compare(Field(column, ())) if column in names:
            raise EmbedOperatorInvalid(column)
        case _:
            return condition
