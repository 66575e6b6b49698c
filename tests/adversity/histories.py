"""Checks what clients of moving tenants were told, against what they read and what is there at the end.

Knows nothing of moves. Each writer numbers its writes and waits for each; a reader looks at one writer's
rows. Writes and strong reads of one writer have to be linearizable: a read shows every write that was
acknowledged before the read began, none that began after it ended, and what one read has shown every
later read shows.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

ACKNOWLEDGED, UNKNOWN, REFUSED = "acknowledged", "unknown", "refused"


@dataclass(frozen=True)
class Write:
    client: str
    number: int
    began: float
    ended: float
    outcome: str


@dataclass(frozen=True)
class Read:
    client: str
    numbers: frozenset
    began: float
    ended: float


@dataclass
class History:
    writes: list = field(default_factory=list)
    reads: list = field(default_factory=list)

    def acknowledged(self):
        return sum(write.outcome == ACKNOWLEDGED for write in self.writes)


def wrong(history, rows):
    """Everything that contradicts the history; `rows` are (client, number) as they are at the end."""
    found = []
    counted = Counter(rows)
    found += [f"{one} is there {times} times" for one, times in counted.items() if times > 1]
    by_client = defaultdict(list)
    for write in history.writes:
        by_client[write.client].append(write)
        there = (write.client, write.number) in counted
        if write.outcome == ACKNOWLEDGED and not there:
            found.append(f"{write.client} {write.number} was acknowledged and is lost")
        if write.outcome == REFUSED and there:
            found.append(f"{write.client} {write.number} was refused and is there")
    known = {(write.client, write.number) for write in history.writes}
    found += [f"{one} is there and nobody wrote it" for one in counted if one not in known]
    reads = defaultdict(list)
    for read in history.reads:
        reads[read.client].append(read)
    for client, of_client in reads.items():
        found += _wrong_reads(client, by_client[client], of_client)
    return found


def _wrong_reads(client, writes, reads):
    found = []
    shown = []  # (when a read that showed it had ended, number)
    writes = sorted(writes, key=lambda write: write.began)
    for read in sorted(reads, key=lambda read: read.began):
        for write in writes:
            if write.outcome == ACKNOWLEDGED and write.ended < read.began:
                if write.number not in read.numbers:
                    found.append(f"a read of {client} lacks {write.number}, acknowledged before it")
            elif write.began > read.ended and write.number in read.numbers:
                found.append(f"a read of {client} has {write.number} from the future")
        missing = {number for ended, number in shown if ended < read.began} - read.numbers
        found += [f"a read of {client} lacks {number}, shown before" for number in sorted(missing)]
        shown += [(read.ended, number) for number in read.numbers]
        shown = list(
            {number: (ended, number) for ended, number in sorted(shown, reverse=True)}.values()
        )
    return found
