"""The part of a document that gives tenants their homes: slots, pins, and numbers of shards."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shardmap.errors import InvalidTenantKey, Problem
from shardmap.fields import Fields, suggestion
from shardmap.ids import KeyType, ShardId, TenantId, tenant_id
from shardmap.map import Pin, ShardMap
from shardmap.markup import Plain
from shardmap.numbers import NUMBERS, numbered
from shardmap.ranges import format_ranges, parse_ranges
from shardmap.ring import propose
from shardmap.slots import SLOTS

EPOCHS: Final = range(1, 2**62)
"""Far below bigint's end, so that adding one never overflows."""


@dataclass(frozen=True, slots=True)
class Homes:
    """What `read_homes` gives. `slots` is whole only when no problem was reported."""

    slots: tuple[ShardId, ...]
    slot_epochs: Mapping[int, int]
    pins: Mapping[TenantId, Pin]


def read_homes(
    fields: Fields,
    weights: Mapping[ShardId, int],
    key_type: KeyType | None,
    previous: ShardMap | None,
) -> Homes:
    """Read `slots`, `slot_epochs` and `pins` of the document.

    Slots and epochs that are left out are as in `previous`; without one, the ring gives the slots
    and every epoch is 1. Pins that are left out are gone. `weights` has every shard of the document.
    """
    if fields.value("slots") is not None:
        slots = _slots(fields.fields("slots"), weights)
    elif previous is not None:
        slots = _inherited(fields, weights, previous)
    else:
        slots = _proposed(fields, weights)
    if fields.value("slot_epochs") is not None or previous is None:
        slot_epochs: Mapping[int, int] = _slot_epochs(fields.fields("slot_epochs"))
    else:
        slot_epochs = previous.slot_epochs
    pins = _pins(fields.fields("pins"), weights, key_type, previous)
    return Homes(slots, slot_epochs, pins)


def read_numbers(
    fields: Fields, shards: Iterable[ShardId], previous: ShardMap | None
) -> dict[ShardId, int]:
    """Read `shard_numbers`: what is left out is as in `previous`, and new shards get new ones.

    Shards that have left keep theirs in the map, so that no other ever has it.
    """
    numbers = dict(previous.numbers) if previous is not None else {}
    for key, path, value in fields.members():
        if isinstance(value, bool) or not isinstance(value, int) or value not in NUMBERS:
            message = f"must be an integer from {NUMBERS.start} to {NUMBERS.stop - 1}"
            fields.problems.append(Problem(path, message))
        else:
            numbers[ShardId(key)] = value
    numbers = numbered(shards, numbers)
    owners: dict[int, ShardId] = {}
    for shard, number in numbers.items():
        if number not in NUMBERS:
            fields.report(shard, f"cannot be given: all numbers to {NUMBERS.stop - 1} are taken")
        other = owners.setdefault(number, shard)
        if other != shard:
            fields.report(shard, f"{number} is the number of {other}, and ids would clash")
    return numbers


def _known(
    shard: str, path: str, known: Mapping[ShardId, int], problems: list[Problem]
) -> ShardId | None:
    if shard in known:
        return ShardId(shard)
    problems.append(
        Problem(path, f'there is no shard "{shard[:80]}"{suggestion(shard, list(known))}')
    )
    return None


def _inherited(
    fields: Fields, known: Mapping[ShardId, int], previous: ShardMap
) -> tuple[ShardId, ...]:
    for shard in sorted(set(previous.slots) - known.keys()):
        fields.report(
            "slots",
            f"is missing, and epoch {previous.epoch} gives {previous.slots.count(shard)} slots "
            f"to {shard}, which the document does not have",
        )
    return previous.slots


def _proposed(fields: Fields, weights: Mapping[ShardId, int]) -> tuple[ShardId, ...]:
    if not any(weights.values()):
        if weights:  # no shard at all has been reported already
            fields.report("slots", "cannot be filled: no shard has a weight above 0")
        return ()
    return propose(weights)


def _slots(fields: Fields, known: Mapping[ShardId, int]) -> tuple[ShardId, ...]:
    owners: dict[int, ShardId] = {}
    for key, path, value in fields.members():
        shard = _known(key, path, known, fields.problems)
        twice: dict[str, list[int]] = {}
        for slot in _ranges(value, path, fields.problems):
            if slot in owners:
                twice.setdefault(owners[slot], []).append(slot)
            else:
                owners[slot] = shard or ShardId(key)
        for owner, slots in twice.items():
            other = "listed twice" if owner == key else f"of {owner} as well"
            message = f"{_count(slots)} {other}: {format_ranges(slots)}"
            fields.problems.append(Problem(path, message))
    free = [slot for slot in range(SLOTS) if slot not in owners]
    if free:
        message = f"{_count(free)} of no shard: {format_ranges(free)}"
        fields.problems.append(Problem(fields.path, message))
    return tuple(owners.get(slot, ShardId("")) for slot in range(SLOTS))


def _count(slots: Sequence[int]) -> str:
    return "1 slot is" if len(slots) == 1 else f"{len(slots)} slots are"


def _ranges(value: Plain, path: str, problems: list[Problem]) -> tuple[int, ...]:
    if value is None:
        return ()
    if isinstance(value, bool) or not isinstance(value, int | str):
        problems.append(Problem(path, 'must be slots such as "0-511, 1024"'))
        return ()
    try:
        return parse_ranges(str(value))
    except ValueError as error:
        problems.append(Problem(path, str(error)))
        return ()


def _slot_epochs(fields: Fields) -> dict[int, int]:
    """Written as epoch to slots, `2: "17, 40-44"`, since few epochs differ from 1."""
    epochs: dict[int, int] = {}
    for key, path, value in fields.members():
        epoch = int(key) if key.isascii() and key.isdecimal() and len(key) < 20 else 0
        if epoch not in EPOCHS:
            fields.problems.append(Problem(path, "the key must be an epoch, counted from 1"))
        for slot in _ranges(value, path, fields.problems):
            if slot in epochs:
                fields.problems.append(Problem(path, f"slot {slot} has two epochs"))
            epochs[slot] = epoch
    return {slot: epoch for slot, epoch in epochs.items() if epoch != 1}


def _pins(
    fields: Fields,
    known: Mapping[ShardId, int],
    key_type: KeyType | None,
    previous: ShardMap | None,
) -> dict[TenantId, Pin]:
    pins: dict[TenantId, Pin] = {}
    for key, path, value in fields.members():
        tenant = _tenant(key, path, key_type, fields.problems)
        before = previous.pins.get(tenant) if previous is not None else None
        epoch: int | None = before.epoch if before is not None else 1
        name: str | None
        if isinstance(value, str):
            name = value
        elif isinstance(value, dict):
            pin = Fields(value, path, fields.problems)
            name = pin.required_text("shard")
            epoch = pin.integer("epoch", EPOCHS) or epoch
            pin.close()
        else:
            fields.problems.append(Problem(path, "must be a shard, or {shard: …, epoch: …}"))
            continue
        shard = _known(name, path, known, fields.problems) if name is not None else None
        if shard is not None and epoch is not None:
            pins[tenant] = Pin(shard, epoch)
    return pins


def _tenant(key: str, path: str, key_type: KeyType | None, problems: list[Problem]) -> TenantId:
    """The key, which has to be in canonical form: one tenant, one spelling, one pin."""
    if key_type is None:  # reported where the type is read
        return TenantId(key)
    try:
        tenant = tenant_id(key_type, key)
    except InvalidTenantKey as error:
        problems.append(Problem(path, str(error)))
        return TenantId(key)
    if tenant != key:
        problems.append(Problem(path, f"the canonical form of this key is {tenant}"))
    return tenant
