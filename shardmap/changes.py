"""What differs between two maps: which tenants change their home, and every other setting."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Final

from shardmap.ids import ShardId, TenantId
from shardmap.map import ShardMap
from shardmap.markup import Plain, dotted
from shardmap.ranges import format_ranges
from shardmap.writing import ordered_tenants, write_document

_LISTED: Final = 20
"""How many pins and unit epochs the text form lists one by one."""
_UNIT_EPOCHS: Final = ("slot_epochs.", "pin_epochs.")


@dataclass(frozen=True, slots=True)
class SlotsMoved:
    """Slots whose home changes from `source` to `target`."""

    source: ShardId
    target: ShardId
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PinChanged:
    """A pin that is set, lifted or pointed elsewhere; the homes are the tenant's own.

    `before` and `after` are the pin's shard, None where there is no pin.
    """

    tenant: TenantId
    before: ShardId | None
    after: ShardId | None
    home_before: ShardId
    home_after: ShardId

    @property
    def moves(self) -> bool:
        """Whether the tenant changes its home."""
        return self.home_before != self.home_after


@dataclass(frozen=True, slots=True)
class Edit:
    """Any other value of the document that differs: None is absent."""

    path: str
    before: Plain
    after: Plain


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that differs, by size of its consequences. Epochs of units are `Edit`s."""

    slots: tuple[SlotsMoved, ...]
    pins: tuple[PinChanged, ...]
    edits: tuple[Edit, ...]

    def __bool__(self) -> bool:
        return bool(self.slots or self.pins or self.edits)


def changes_between(old: ShardMap, new: ShardMap) -> Changes:
    """What `new` does differently. The map's own epoch is no change."""
    return Changes(
        slots=tuple(_slots_moved(old, new)),
        pins=tuple(_pins_changed(old, new)),
        edits=tuple(_edits("", _settings(old), _settings(new))),
    )


def gained(old: ShardMap | None, new: ShardMap) -> frozenset[ShardId]:
    """The shards that became home of a tenant's rows which they may not have had before.

    A unit whose epoch has grown may have left its home and come back in between. Without an old
    map: the homes of all units that ever moved.
    """
    before = new if old is None else old
    epochs = {} if old is None else old.slot_epochs
    found = {
        home
        for slot, (was, home) in enumerate(zip(before.slots, new.slots, strict=True))
        if was != home or new.slot_epochs.get(slot, 1) != epochs.get(slot, 1)
    }
    for tenant in {*new.pins, *(() if old is None else old.pins)}:
        pin = new.pins.get(tenant)
        was_pin = None if old is None else old.pins.get(tenant)
        epoch = 1 if pin is None else pin.epoch
        was_epoch = 1 if was_pin is None else was_pin.epoch
        if epoch != was_epoch or before.owner(tenant) != new.owner(tenant):
            found.add(new.owner(tenant))
    return frozenset(found)


def _slots_moved(old: ShardMap, new: ShardMap) -> Iterator[SlotsMoved]:
    moved: dict[tuple[ShardId, ShardId], list[int]] = {}
    for slot, homes in enumerate(zip(old.slots, new.slots, strict=True)):
        if homes[0] != homes[1]:
            moved.setdefault(homes, []).append(slot)
    for (source, target), slots in sorted(moved.items()):
        yield SlotsMoved(source, target, tuple(slots))


def _pins_changed(old: ShardMap, new: ShardMap) -> Iterator[PinChanged]:
    for tenant in ordered_tenants({*old.pins, *new.pins}, new.key_type):
        before = old.pins.get(tenant)
        after = new.pins.get(tenant)
        if before is None or after is None or before.shard != after.shard:
            yield PinChanged(
                tenant=tenant,
                before=before.shard if before is not None else None,
                after=after.shard if after is not None else None,
                home_before=old.owner(tenant),
                home_after=new.owner(tenant),
            )


def _settings(shard_map: ShardMap) -> dict[str, Plain]:
    """The document without what is compared by its meaning; unit epochs as one value each."""
    document = write_document(shard_map)
    for key in ("epoch", "slots", "pins"):
        document.pop(key, None)
    document["slot_epochs"] = {
        str(slot): epoch for slot, epoch in sorted(shard_map.slot_epochs.items()) if epoch != 1
    }
    document["pin_epochs"] = {
        tenant: pin.epoch for tenant, pin in sorted(shard_map.pins.items()) if pin.epoch != 1
    }
    return document


def _edits(path: str, old: Plain, new: Plain) -> Iterator[Edit]:
    """Differences at the deepest path that both sides have; replicas count by position."""
    match old, new:
        case dict(), dict():
            for key in [*old, *(key for key in new if key not in old)]:
                yield from _edits(dotted(path, key), old.get(key), new.get(key))
        case list(), list():
            for index in range(max(len(old), len(new))):
                before = old[index] if index < len(old) else None
                after = new[index] if index < len(new) else None
                yield from _edits(dotted(path, index), before, after)
        case _ if old != new:
            yield Edit(path, old, new)


def changes_text(changes: Changes) -> str:
    """The changes for people, one a line; `moves` marks what takes data along."""
    if not changes:
        return "no changes\n"
    lines = [
        f"! slots: {len(moved.slots)} of {moved.source} move to {moved.target}: "
        f"{_cut(format_ranges(moved.slots))}"
        for moved in changes.slots
    ]
    lines += _limited([_pin_line(pin) for pin in changes.pins], "pins")
    units = [edit for edit in changes.edits if edit.path.startswith(_UNIT_EPOCHS)]
    lines += [_edit_line(edit) for edit in changes.edits if edit not in units]
    lines += _limited([_edit_line(edit) for edit in units], "unit epochs")
    return "".join(f"{line}\n" for line in lines)


def changes_document(changes: Changes) -> dict[str, Plain]:
    """The changes for programs, all of them."""
    return {
        "slots": [
            {
                "source": moved.source,
                "target": moved.target,
                "count": len(moved.slots),
                "slots": format_ranges(moved.slots),
            }
            for moved in changes.slots
        ],
        "pins": [{**asdict(pin), "moves": pin.moves} for pin in changes.pins],
        "edits": [asdict(edit) for edit in changes.edits],
    }


def _pin_line(pin: PinChanged) -> str:
    mark = "!" if pin.moves else ("+" if pin.before is None else "-")
    verb = (
        f"pinned to {pin.after}"
        if pin.before is None
        else f"unpinned from {pin.before}"
        if pin.after is None
        else f"pinned to {pin.after} instead of {pin.before}"
    )
    fate = (
        f"moves from {pin.home_before} to {pin.home_after}"
        if pin.moves
        else f"stays on {pin.home_after}"
    )
    return f"{mark} {dotted('pins', pin.tenant)}: {verb}, {fate}"


def _edit_line(edit: Edit) -> str:
    if edit.before is None:
        return f"+ {edit.path}: {_shown(edit.after)}"
    if edit.after is None:
        return f"- {edit.path}: {_shown(edit.before)}"
    return f"~ {edit.path}: {_shown(edit.before)} -> {_shown(edit.after)}"


def _shown(value: Plain) -> str:
    match value:
        case dict() as members:
            return (
                "{" + ", ".join(f"{key}: {_shown(member)}" for key, member in members.items()) + "}"
            )
        case list() as members:
            return "[" + ", ".join(_shown(member) for member in members) + "]"
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def _cut(text: str, length: int = 60) -> str:
    return text if len(text) <= length else text[:length].rpartition(",")[0] + ", …"


def _limited(lines: list[str], what: str) -> list[str]:
    """All lines that tell of a move, and a few of the others."""
    shown = [line for line in lines if line.startswith("!")]
    others = [line for line in lines if not line.startswith("!")]
    shown += others[:_LISTED]
    if len(others) > _LISTED:
        shown.append(f"… and {len(others) - _LISTED} more {what}")
    return shown
