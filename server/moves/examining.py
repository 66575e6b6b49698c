"""What is left over on the servers, and what contradicts the map; with how to mend each. Decides only."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from server.moves.group import literal, quoted
from server.moves.names import read_name
from server.moves.request import ENDED, Move, State
from shardmap import PinUnit, ShardId, ShardMap, Unit, read_unit


class Row(Protocol):
    """A row of `doctor.sql`."""

    def __getitem__(self, column: str, /) -> Any:
        """The value of a column."""
        ...


@dataclass(frozen=True, slots=True)
class Ailment:
    """One thing that is not as it should be, where, and what mends it."""

    place: str
    what: str
    mend: str

    def document(self) -> dict[str, str]:
        """It as JSON."""
        return {"place": self.place, "what": self.what, "mend": self.mend}


def ailments(
    shard_map: ShardMap, moves: Iterable[Move], found: Mapping[ShardId, Iterable[Row]]
) -> tuple[Ailment, ...]:
    """Everything, shard by shard; `moves` are all of the journal."""
    known = {move.id: move for move in moves}
    answer: list[Ailment] = []
    for shard, rows in found.items():
        for row in rows:
            answer += _row(shard_map, known, shard, row)
    answer += [
        Ailment(
            "catalog",
            f"move {move.id} ({move.title}) is {move.state}: {move.note}",
            f"fluxshard moves resume {move.id}, or abort {move.id}",
        )
        for move in known.values()
        if move.note and move.state not in ENDED | {State.MOVED}
    ]
    return tuple(answer)


_DROP: Final = {
    "publication": "DROP PUBLICATION {quoted}",
    "subscription": "ALTER SUBSCRIPTION {quoted} DISABLE; ALTER SUBSCRIPTION {quoted} SET (slot_name = NONE); DROP SUBSCRIPTION {quoted}",
    "slot": "SELECT pg_drop_replication_slot({literal})",
}


def _row(
    shard_map: ShardMap, known: Mapping[int, Move], shard: ShardId, row: Row
) -> Iterator[Ailment]:
    kind, name = row["kind"], row["name"]
    if kind in _DROP:
        owner = read_name(name)
        move = known.get(owner[0]) if owner is not None else None
        if (
            move is not None
            and owner is not None
            and move.token == owner[1]
            and move.state not in ENDED
        ):
            return
        whose = (
            f"move {move.id}, which is {move.state}"
            if move is not None
            else "no move of the journal"
        )
        mend = _DROP[kind].format(quoted=quoted(name), literal=literal(name))
        yield Ailment(shard, f"the {kind} {name} belongs to {whose}", mend)
    elif kind == "prepared transaction":
        yield Ailment(
            shard,
            f"{name} is prepared since {row['age_s']:.0f} s and keeps its locks",
            "a running server ends those of ours; else COMMIT PREPARED or ROLLBACK PREPARED",
        )
    elif kind == "mover":
        yield Ailment(
            shard,
            f"a mover's session {name} is {row['detail']} since {row['age_s']:.0f} s",
            f"SELECT pg_terminate_backend({name})",
        )
    else:
        unit = read_unit(name)
        if unit is not None:
            yield from _fence(
                shard_map,
                known.values(),
                shard,
                unit,
                state=kind.removeprefix("fence "),
                epoch=int(row["detail"]),
            )


def _fence(  # noqa: PLR0913 - a fence, and what it is compared with
    shard_map: ShardMap,
    moves: Iterable[Move],
    shard: ShardId,
    unit: Unit,
    *,
    state: str,
    epoch: int,
) -> Iterator[Ailment]:
    if any(unit in move.units and move.state not in ENDED | {State.MOVED} for move in moves):
        return
    name = f"the fence of {_title(unit)}"
    routed = not isinstance(unit, PinUnit) or unit.tenant in shard_map.pins
    if state in {"arriving", "held"}:
        yield Ailment(
            shard,
            f"{name} is {state}, and no move is under way",
            f"SELECT fluxshard.drop_fence({literal(_name(unit))}, 9223372036854775807)",
        )
        return
    if not routed:
        return
    home = (
        shard_map.pins[unit.tenant].shard
        if isinstance(unit, PinUnit)
        else shard_map.slots[unit.slot]
    )
    if (state == "open") != (home == shard):
        where = "open" if state == "open" else "gone"
        yield Ailment(
            shard,
            f"{name} is {where}, and the map says {home}",
            "fluxshard moves (is one unfinished?); else compare the rows of both shards before anything is changed",
        )
    elif state == "open" and epoch != shard_map.unit_epoch(unit):
        yield Ailment(
            shard,
            f"{name} is at epoch {epoch}, the map at {shard_map.unit_epoch(unit)}: writers are refused",
            "fluxshard pin, or a move of it, sets both",
        )


def _name(unit: Unit) -> str:
    return f"pin:{unit.tenant}" if isinstance(unit, PinUnit) else f"slot:{unit.slot}"


def _title(unit: Unit) -> str:
    return f"tenant {unit.tenant}" if isinstance(unit, PinUnit) else f"slot {unit.slot}"
