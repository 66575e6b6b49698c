"""A queue that is fair between parties: one of each in turn, and the longest pays when it is full.

Round robin with one request as its quantum (deficit round robin, Shreedhar and Varghese, 1995, for
requests that count alike): whoever has one request waiting is served after at most one of each
other party, however many those have. Where it is known what each party has already, those that have
least come first (max-min fairness: Bertsekas and Gallager, 1987, 6.5.2): a party that has nothing
need not wait for the turn of one that has all. When there is no room the newest request of the party
with the longest queue leaves, so that a flood pushes out itself (McKenney, 1990).
"""

from collections import OrderedDict, deque
from collections.abc import Hashable, Mapping
from itertools import islice
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")

COMPARED: Final = 16
"""Among so many parties who are next, one that has least is looked for."""


class FairQueue(Generic[Item]):
    """Items of parties, at most `most` in all.

    Every operation but `remove` is O(1), and `pop` with what parties have O(`COMPARED`).
    """

    __slots__ = ("_by_length", "_count", "_lines", "_longest", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        """May be changed; those beyond it stay until they leave by themselves or by `drop_newest`."""
        self._count = 0
        self._lines: OrderedDict[Hashable, deque[Item]] = OrderedDict()
        """Parties with something waiting, in the order of their turns."""
        self._by_length: dict[int, dict[Hashable, None]] = {}
        """The parties by the length of their lines, to find a longest one."""
        self._longest = 0

    def __len__(self) -> int:
        return self._count

    def waiting(self, party: Hashable) -> int:
        """How many items of the party wait."""
        line = self._lines.get(party)
        return len(line) if line is not None else 0

    def push(self, party: Hashable, item: Item) -> Item | None:
        """Put the item behind the others of its party; the item that has to leave for it, if any.

        That is the newest of the party that has most waiting; the item itself, when its own party
        would have as many.
        """
        leaving: Item | None = None
        if self._count >= self.most:
            if self.waiting(party) + 1 >= self._longest:
                return item
            leaving = self.drop_newest()
        line = self._lines.get(party)
        if line is None:
            line = self._lines[party] = deque()
        line.append(item)
        self._count += 1
        self._resized(party, len(line) - 1, len(line))
        return leaving

    def pop(self) -> Item | None:
        """The oldest item of the party whose turn it is; None: nobody waits."""
        found = self.pop_next({})
        return found[1] if found is not None else None

    def pop_next(self, having: Mapping[Hashable, int]) -> tuple[Hashable, Item] | None:
        """The oldest item of a party that has least, and the party; None: nobody waits.

        Of those that have as much, it is the one whose turn it is.
        """
        if not self._lines:
            return None
        party = next(iter(self._lines))
        if having and len(self._lines) > 1:
            party = min(islice(self._lines, COMPARED), key=lambda one: having.get(one, 0))
        line = self._lines[party]
        item = line.popleft()
        self._lines.move_to_end(party)
        self._shrunk(party, line)
        return party, item

    def drop_newest(self) -> Item | None:
        """The newest item of a party with the longest line, taken out; None: nobody waits."""
        if not self._lines:
            return None
        party = next(iter(self._by_length[self._longest]))
        line = self._lines[party]
        item = line.pop()
        self._shrunk(party, line)
        return item

    def remove(self, party: Hashable, item: Item) -> bool:
        """Take the item out wherever it is; whether it was there. O(items of its party)."""
        line = self._lines.get(party)
        if line is None:
            return False
        try:
            line.remove(item)
        except ValueError:
            return False
        self._shrunk(party, line)
        return True

    def _shrunk(self, party: Hashable, line: deque[Item]) -> None:
        self._count -= 1
        self._resized(party, len(line) + 1, len(line))
        if not line:
            del self._lines[party]

    def _resized(self, party: Hashable, before: int, after: int) -> None:
        if before:
            same = self._by_length[before]
            del same[party]
            if not same:
                del self._by_length[before]
        if after:
            self._by_length.setdefault(after, {})[party] = None
        if after > self._longest or (before == self._longest and before not in self._by_length):
            self._longest = after
