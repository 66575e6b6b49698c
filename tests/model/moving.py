"""All interleavings of a tenant's move with writers, crashes, late movers and promotions.

A model of the protocol in `router/catalogue/fences.sql` and `server/moves`, small enough to be
explored whole: one unit, two shards, writers with maps of any age, a mover, and a second one that
takes over while the first lives on and may resume at any time. Events are atomic where PostgreSQL makes them
so: a statement behind a lock, a commit.

Each rule of the protocol can be switched off (`Rules`); what the explorer then finds shows what
the rule is for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

SOURCE, TARGET = 0, 1
NEVER = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """What keeps a move safe; each may be switched off."""

    enter: bool = True
    """Writers look at the fence, inside of their transaction."""
    drain: bool = True
    """The cutover waits until no writer is inside, and lets none in."""
    confirm: bool = True
    """It commits only when the new home has confirmed everything."""
    lease: bool = True
    """Shards and catalog refuse a mover with an older lease."""
    quorum: bool = True
    """A change of a fence is on the standby before anybody hears of it, as writers' commits are."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much happens in one exploration."""

    writers: int = 2
    movers: int = 2
    """Processes; one that has ended may begin anew."""
    leases: int = 4
    """How often a mover takes the move, or an operator asks for something, altogether."""
    promotions: int = 1
    returns: bool = True
    """The operator may abort, roll back and clean up."""


class Fence(NamedTuple):
    """The unit's row on a shard: `open`, `gone`, `arriving` or `none`."""

    state: str
    epoch: int
    lease: int


class Durable(NamedTuple):
    """What a promotion keeps if the standby has it."""

    fence: Fence
    rows: frozenset[int]


class Shard(NamedTuple):
    """A primary, its standby, and the mover whose transaction holds the unit's lock."""

    now: Durable
    standby: Durable
    locked_by: int | None = None


class Stream(NamedTuple):
    """Rows on their way from one shard to the other. A slot does not survive a promotion."""

    made: bool = False
    broken: bool = False
    pending: frozenset[int] = frozenset()


class Writer(NamedTuple):
    """A router with a map of some age, and one write."""

    home: int
    epoch: int
    inside: int | None = None
    """The shard on which its transaction is open."""
    acknowledged: bool = False


class Mover(NamedTuple):
    """A process that carries the move out; `at` is what it does next."""

    at: str = "absent"
    lease: int = NEVER
    doing: str = ""
    """The state that the journal was in when it last looked."""


class World(NamedTuple):
    """Everything, at one moment."""

    shards: tuple[Shard, Shard]
    forth: Stream
    back: Stream
    writers: tuple[Writer, ...]
    movers: tuple[Mover, ...]
    home: int = SOURCE
    """Of the map in the catalog …"""
    epoch: int = 1
    """… and the unit's epoch there."""
    state: str = "planned"
    """Of the move in the journal …"""
    lease: int = NEVER
    """… and whose it is."""
    promotions: int = 0


RESTING = frozenset({"moved", "cleaned", "aborted", "rolled_back"})
_BEGINNINGS = {
    "planned": "arrive",
    "copying": "copy",
    "cutover": "decided?",
    "aborting": "abortable?",
    "returning": "decided?",
    "cleaning": "clean",
}

_WRITES_DOWN = {"arrived": "copying", "copied": "cutover"}

Step = tuple[str, World]


def first(bounds: Bounds) -> World:
    """Before the move: the source is home, and knows it."""
    home = Durable(Fence("open", 1, NEVER), frozenset())
    away = Durable(Fence("none", 0, NEVER), frozenset())
    return World(
        shards=(Shard(home, home), Shard(away, away)),
        forth=Stream(),
        back=Stream(),
        writers=(Writer(SOURCE, 1),) * bounds.writers,
        movers=(Mover(),) * bounds.movers,
    )


def broken_promise(world: World) -> str | None:
    """What the world shows that must never be; None: nothing."""
    acknowledged = frozenset(
        number for number, writer in enumerate(world.writers) if writer.acknowledged
    )
    opened = [number for number, shard in enumerate(world.shards) if _is_open(shard)]
    if len(opened) > 1:
        return "both shards are open"
    for number in opened:
        lost = acknowledged - world.shards[number].now.rows
        if lost:
            return f"acknowledged writes {sorted(lost)} are not at home on shard {number}"
    return None


def at_rest(world: World) -> bool:
    """Whether the move has ended well: one home, which the map knows, and everybody has written."""
    return (
        world.state in RESTING
        and _is_open(world.shards[world.home])
        and world.shards[world.home].now.fence.epoch == world.epoch
        and all(writer.acknowledged for writer in world.writers)
    )


def _is_open(shard: Shard) -> bool:
    return shard.now.fence.state == "open"


class Model:
    """The moves that the world can make."""

    def __init__(self, rules: Rules, bounds: Bounds) -> None:
        self._rules = rules
        self._bounds = bounds

    def steps(self, world: World) -> Iterator[Step]:
        """Each thing that may happen next, with the world after it."""
        for number in range(len(world.writers)):
            yield from self._writer(world, number)
        for number in range(len(world.movers)):
            yield from self._mover(world, number)
        yield from self._streams(world)
        yield from self._operator(world)
        for number in (SOURCE, TARGET):
            yield from self._server(world, number)

    def _writer(self, world: World, number: int) -> Iterator[Step]:
        writer = world.writers[number]
        if writer.acknowledged:
            return
        if writer.inside is not None:
            shard = world.shards[writer.inside]
            done = writer._replace(inside=None, acknowledged=True)
            rows = shard.now.rows | {number}
            after = self._committed(world, writer.inside, shard.now._replace(rows=rows))
            after = _streamed(after, writer.inside, number)
            yield f"writer {number} commits on {writer.inside}", _with_writer(after, number, done)
            return
        shard = world.shards[writer.home]
        if (writer.home, writer.epoch) != (world.home, world.epoch):
            fresh = writer._replace(home=world.home, epoch=world.epoch)
            yield f"writer {number} reads the map", _with_writer(world, number, fresh)
        if self._rules.drain and shard.locked_by is not None:
            return  # waits for the lock
        fence = shard.now.fence
        if not self._rules.enter or (fence.state == "open" and fence.epoch == writer.epoch):
            inside = writer._replace(inside=writer.home)
            yield f"writer {number} enters {writer.home}", _with_writer(world, number, inside)

    def _mover(self, world: World, number: int) -> Iterator[Step]:
        mover = world.movers[number]
        name = f"mover {number}"
        if mover.at in {"absent", "gone", "done"}:
            first_to_come = number == 0 or world.movers[number - 1].lease
            if world.state not in RESTING and first_to_come and world.lease < self._bounds.leases:
                taken = world._replace(lease=world.lease + 1)
                yield (
                    f"{name} takes the move",
                    _with_mover(taken, number, Mover("over source", taken.lease, world.state)),
                )
            return
        for what, after in self._deeds(world, number, mover):
            yield f"{name}: {mover.at}, {what}", after

    def _deeds(self, world: World, number: int, mover: Mover) -> Iterator[Step]:
        """What the mover's next step comes to."""
        if mover.at in _WRITES_DOWN:
            yield self._journal(world, number, _WRITES_DOWN[mover.at])
            return
        deeds = {
            "over source": self._over_source,
            "over target": self._over_target,
            "arrive": self._arrive,
            "copy": self._copy,
            "decided?": self._whether_decided,
            "abortable?": self._whether_decided,
            "lock": self._lock,
            "commit": self._commit,
            "open": self._open,
            "publish": self._publish,
            "published": self._published,
            "abort": self._abort,
            "clean": self._clean,
        }
        yield from deeds[mover.at](world, number)

    def _over_source(self, world: World, number: int) -> Iterator[Step]:
        yield from self._fenced(world, number, SOURCE, None, "over target")

    def _over_target(self, world: World, number: int) -> Iterator[Step]:
        then = _BEGINNINGS.get(world.movers[number].doing, "done")
        yield from self._fenced(world, number, TARGET, None, then)

    def _arrive(self, world: World, number: int) -> Iterator[Step]:
        arriving = Fence("arriving", 1, world.movers[number].lease)
        yield from self._fenced(world, number, TARGET, arriving, "arrived")

    def _open(self, world: World, number: int) -> Iterator[Step]:
        leg = _Leg(world.movers[number].doing)
        opened = Fence("open", leg.epoch, world.movers[number].lease)
        yield from self._fenced(world, number, leg.new, opened, "publish")

    def _publish(self, world: World, number: int) -> Iterator[Step]:
        """A map with an older epoch than the one in force is not taken."""
        leg = _Leg(world.movers[number].doing)
        published = world
        if leg.epoch > world.epoch:
            published = world._replace(home=leg.new, epoch=leg.epoch)
        yield "the map says so", _to(published, number, "published")

    def _published(self, world: World, number: int) -> Iterator[Step]:
        mover = world.movers[number]
        if mover.doing != "returning":
            yield self._journal(world, number, "moved")
        elif self._refused(world.shards[TARGET].now.fence, mover):
            yield "refused", _to(world, number, "gone")
        else:
            yield self._journal(_forgotten(world, TARGET), number, "rolled_back")

    def _clean(self, world: World, number: int) -> Iterator[Step]:
        if self._refused(world.shards[SOURCE].now.fence, world.movers[number]):
            yield "refused", _to(world, number, "gone")
        elif world.shards[TARGET].now.fence.state == "gone":
            yield self._journal(world, number, "returning")  # it was decided before
        else:
            yield self._journal(_forgotten(world, SOURCE), number, "cleaned")

    def _refused(self, fence: Fence, mover: Mover) -> bool:
        return self._rules.lease and fence.lease > mover.lease

    def _fenced(
        self, world: World, number: int, on: int, fence: Fence | None, then: str
    ) -> Iterator[Step]:
        """A transaction that holds the unit's lock alone, and writes its row; None: only the lease."""
        mover, shard = world.movers[number], world.shards[on]
        if shard.locked_by is not None or any(w.inside == on for w in world.writers):
            return  # waits for the lock
        if self._refused(shard.now.fence, mover):
            yield "refused", _to(world, number, "gone")
            return
        fence = fence or shard.now.fence._replace(lease=mover.lease)
        after = self._committed(world, on, shard.now._replace(fence=fence))
        yield "done", _to(after, number, then)

    def _journal(self, world: World, number: int, state: str) -> Step:
        mover = world.movers[number]
        if self._rules.lease and world.lease != mover.lease:
            return "refused", _to(world, number, "gone")
        then = mover._replace(at=_BEGINNINGS.get(state, "done"), doing=state)
        return f"journal says {state}", _with_mover(world._replace(state=state), number, then)

    def _copy(self, world: World, number: int) -> Iterator[Step]:
        """The target is emptied, and a new stream begins with all rows that are there."""
        mover = world.movers[number]
        if any(self._refused(shard.now.fence, mover) for shard in world.shards):
            yield "refused", _to(world, number, "gone")
            return
        emptied = _forgotten(world, TARGET)
        rows = world.shards[SOURCE].now.rows
        yield (
            "begun",
            _to(emptied._replace(forth=Stream(made=True, pending=rows)), number, "copied"),
        )

    def _whether_decided(self, world: World, number: int) -> Iterator[Step]:
        mover = world.movers[number]
        leg = _Leg(mover.doing)
        opened = world.shards[leg.new].now.fence
        if (opened.state, opened.epoch) == ("open", leg.epoch):
            yield "the new home is open", self._forward(world, number, "publish")
            return
        shard = world.shards[leg.old]
        if shard.locked_by is not None:
            return  # waits until the other's cutover has ended
        if self._refused(shard.now.fence, mover):
            yield "refused", _to(world, number, "gone")
        elif (shard.now.fence.state, shard.now.fence.epoch) == ("gone", leg.epoch):
            yield "yes", self._forward(world, number, "open")
        else:
            yield "no", _to(world, number, "lock" if mover.at == "decided?" else "abort")

    def _forward(self, world: World, number: int, then: str) -> World:
        """An abort that comes too late goes on with the cutover."""
        if world.movers[number].doing == "aborting":
            return self._journal(world, number, "cutover")[1]
        return _to(world, number, then)

    def _lock(self, world: World, number: int) -> Iterator[Step]:
        leg = _Leg(world.movers[number].doing)
        mover, shard = world.movers[number], world.shards[leg.old]
        if leg.stream(world).broken:
            if mover.doing == "cutover":
                yield self._journal(world, number, "copying")
            else:
                yield "the way back is lost", _to(world, number, "gone")
            return
        inside = any(writer.inside == leg.old for writer in world.writers)
        if shard.locked_by is not None or (self._rules.drain and inside):
            return
        if self._refused(shard.now.fence, mover):
            yield "refused", _to(world, number, "gone")
            return
        after = _with_shard(world, leg.old, shard._replace(locked_by=number))
        yield "held", _to(after, number, "commit")

    def _commit(self, world: World, number: int) -> Iterator[Step]:
        leg = _Leg(world.movers[number].doing)
        mover, shard = world.movers[number], world.shards[leg.old]
        if shard.locked_by != number:
            yield "the transaction is gone", _to(world, number, "decided?")
            return
        stream = leg.stream(world)
        if not stream.broken and (not self._rules.confirm or not stream.pending):
            gone = Fence("gone", leg.epoch, mover.lease)
            after = self._committed(world, leg.old, shard.now._replace(fence=gone))
            if leg.old == SOURCE:  # the slot of the way back begins here
                after = after._replace(back=Stream(made=True))
            yield "decided", _to(after, number, "open")
        undone = _with_shard(world, leg.old, shard._replace(locked_by=None))
        yield "rolled back", _to(undone, number, "decided?")

    def _abort(self, world: World, number: int) -> Iterator[Step]:
        """No stream, no rows, no fence on the target, in transactions that check the lease."""
        mover = world.movers[number]
        if any(self._refused(shard.now.fence, mover) for shard in world.shards):
            yield "refused", _to(world, number, "gone")
            return
        emptied = _forgotten(world, TARGET)._replace(forth=Stream(), back=Stream())
        shard = emptied.shards[TARGET]
        if shard.now.fence.state == "arriving":
            none = Fence("none", 0, mover.lease)
            emptied = self._committed(emptied, TARGET, shard.now._replace(fence=none))
        yield self._journal(emptied, number, "aborted")

    def _streams(self, world: World) -> Iterator[Step]:
        for name, stream, on in (("forth", world.forth, TARGET), ("back", world.back, SOURCE)):
            if stream.broken or (name == "back" and world.state not in {"moved", "returning"}):
                continue
            for row in stream.pending:
                shard = world.shards[on]
                after = self._committed(world, on, shard.now._replace(rows=shard.now.rows | {row}))
                left = stream._replace(pending=stream.pending - {row})
                yield f"row {row} arrives on {on}", after._replace(**{name: left})

    def _operator(self, world: World) -> Iterator[Step]:
        """Asking takes the lease from whoever has it; a mover that comes next obeys."""
        if not self._bounds.returns or world.lease >= self._bounds.leases:
            return
        asked = []
        if world.state in {"planned", "copying", "cutover"} and world.movers[0].lease:
            asked = ["aborting"]
        elif world.state == "moved":
            asked = ["cleaning"] if world.back.broken else ["cleaning", "returning"]
        elif world.state == "returning" and world.back.broken:
            asked = ["cleaning"]  # the way back is lost: stay
        for state in asked:
            yield f"the operator: {state}", world._replace(state=state, lease=world.lease + 1)

    def _server(self, world: World, number: int) -> Iterator[Step]:
        """A transaction that stands still is ended; a primary dies, and its standby is promoted."""
        shard = world.shards[number]
        if shard.locked_by is not None:
            ended = shard._replace(locked_by=None)
            yield f"{number} ends the mover's transaction", _with_shard(world, number, ended)
        if not self._rules.quorum and shard.standby != shard.now:
            shipped = shard._replace(standby=shard.now)
            yield f"the standby of {number} catches up", _with_shard(world, number, shipped)
        if world.promotions < self._bounds.promotions:
            after = _with_shard(world, number, Shard(shard.standby, shard.standby))
            writers = tuple(
                writer._replace(inside=None) if writer.inside == number else writer
                for writer in world.writers
            )
            after = after._replace(writers=writers, promotions=world.promotions + 1)
            stream = "forth" if number == SOURCE else "back"
            lost: Stream = getattr(after, stream)
            if lost.made:
                after = after._replace(**{stream: lost._replace(broken=True)})
            yield f"the standby of {number} is promoted", after

    def _committed(self, world: World, number: int, now: Durable) -> World:
        shard = world.shards[number]
        shipped = self._rules.quorum or now.fence == shard.now.fence
        standby = now if shipped else shard.standby
        locked_by = shard.locked_by if now.fence == shard.now.fence else None
        return _with_shard(world, number, Shard(now, standby, locked_by))


class _Leg:
    """Which way a cutover goes: forth to the target, or back to the source."""

    def __init__(self, doing: str) -> None:
        self._back = doing == "returning"
        self.old, self.new = (TARGET, SOURCE) if self._back else (SOURCE, TARGET)
        self.epoch = 3 if self._back else 2

    def stream(self, world: World) -> Stream:
        return world.back if self._back else world.forth


def _streamed(world: World, origin: int, row: int) -> World:
    name = "forth" if origin == SOURCE else "back"
    stream: Stream = getattr(world, name)
    if not stream.made:
        return world
    return world._replace(**{name: stream._replace(pending=stream.pending | {row})})


def _forgotten(world: World, on: int) -> World:
    shard = world.shards[on]
    return _with_shard(
        world,
        on,
        shard._replace(
            now=shard.now._replace(rows=frozenset()),
            standby=shard.standby._replace(rows=frozenset()),
        ),
    )


def _with_shard(world: World, number: int, shard: Shard) -> World:
    source, target = world.shards
    return world._replace(shards=(shard, target) if number == SOURCE else (source, shard))


def _with_writer(world: World, number: int, writer: Writer) -> World:
    writers = world.writers
    return world._replace(writers=(*writers[:number], writer, *writers[number + 1 :]))


def _with_mover(world: World, number: int, mover: Mover) -> World:
    movers = world.movers
    return world._replace(movers=(*movers[:number], mover, *movers[number + 1 :]))


def _to(world: World, number: int, at: str) -> World:
    return _with_mover(world, number, world.movers[number]._replace(at=at))
