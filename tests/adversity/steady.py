"""Clients that go on whatever happens, and a record of all that they were told.

A `Session` is one end user: a writer that inserts numbered entries (every other one is a batch of
three rows), and readers that look for the newest of them. While they work they note as
`violations` what may never be: an own write that a later read does not show, a row that an earlier
read showed and a later one does not, a part of a batch, an answer that is none of the documented
ones. Afterwards `Steady.audit` compares what is in the tables with what the writers were told.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto

import aiohttp

READERS = 2
PACE_S = 0.01
"""Between two requests of one client, so that the clients do not measure the machine."""
WINDOW = 40
"""How many of the newest entries a reader asks for."""
BATCH = 3
MORE_WITHIN_S = 40.0


class Fate(Enum):
    """What a writer knows of one of its entries."""

    ACKNOWLEDGED = auto()
    UNKNOWN = auto()
    REFUSED = auto()
    """Whoever refused it promised that nothing was written."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One request and what came back. No status: the connection broke."""

    status: int | None
    code: str | None
    retry_after: str | None
    began: float
    ended: float
    body: object = None
    served: str = ""

    @property
    def good(self) -> bool:
        return self.status is not None and self.status < 300

    @property
    def fate(self) -> Fate | None:
        """What the answer to a write says; None: nothing that a client could act on."""
        match self.status, self.code, self.retry_after:
            case 201, _, _:
                return Fate.ACKNOWLEDGED
            case (None, _, _) | (500, "COMMIT_UNKNOWN", None):
                return Fate.UNKNOWN
            case (503, str(), str()) | (504, "P301", None):
                return Fate.REFUSED
            case _:
                return None

    def __str__(self) -> str:
        return "broken" if self.status is None else f"{self.status} {self.code or ''}".strip()


def parts(number: int) -> int:
    """How many rows the entry of this number has."""
    return BATCH if number % 2 else 1


async def ask(http, method, url, **options) -> Answer:
    """One request."""
    began = time.monotonic()
    try:
        async with http.request(method, url, **options) as response:
            body = await response.json() if response.content_type == "application/json" else None
    except (aiohttp.ClientError, ConnectionError):
        return Answer(None, None, None, began, time.monotonic())
    code = body.get("code") if isinstance(body, dict) else None
    headers = response.headers
    return Answer(
        response.status,
        code,
        headers.get("Retry-After"),
        began,
        time.monotonic(),
        body,
        headers.get("X-Served-By", ""),
    )


@dataclass
class Session:
    """One end user of one tenant, with entries in one table."""

    name: str
    tenant: int
    shard: str
    table: str
    token: str
    url: str
    last: int = 0
    fates: dict[int, Fate] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    writes: list[Answer] = field(default_factory=list)
    reads: list[list[Answer]] = field(default_factory=lambda: [[] for _ in range(READERS)])
    violations: list[str] = field(default_factory=list)

    @property
    def headers(self):
        return {"Authorization": f"Bearer {self.token}"}

    async def write(self, http) -> Answer:
        """Insert the next entry, whole or not at all."""
        self.last = number = self.last + 1
        self.fates[number] = Fate.UNKNOWN  # until it is answered
        rows = [
            {"author": self.name, "number": number, "part": part} for part in range(parts(number))
        ]
        answer = await ask(http, "POST", f"{self.url}/rest/v1/{self.table}", json=rows,
                           headers=self.headers)  # fmt: skip
        if answer.fate is None:
            self.violations.append(f"write {number} was answered with {answer}: {answer.body}")
        else:
            self.fates[number] = answer.fate
        self.writes.append(answer)
        return answer

    async def read(self, http, reader: int = 0) -> Answer:
        """Ask for the newest entries, and compare them with what was known before."""
        after = max(0, self.last - WINDOW)
        known = {
            number
            for number in range(after + 1, self.last + 1)
            if number in self.seen or self.fates[number] is Fate.ACKNOWLEDGED
        }
        query = f"author=eq.{self.name}&number=gt.{after}&select=number,part"
        url = f"{self.url}/rest/v1/{self.table}?{query}"
        answer = await ask(http, "GET", url, headers=self.headers)
        self.reads[reader].append(answer)
        if answer.good:
            self._compare(answer, known)
        elif answer.status is not None and not (answer.status == 503 and answer.retry_after):
            self.violations.append(f"a read was answered with {answer}: {answer.body}")
        return answer

    def _compare(self, answer: Answer, known: set[int]) -> None:
        found = Counter(row["number"] for row in answer.body)
        missing = known - found.keys()
        if missing:
            self.violations.append(f"{answer.served} does not show {sorted(missing)}")
        torn = [number for number, count in found.items() if count != parts(number)]
        if torn:
            self.violations.append(f"{answer.served} shows a part of {torn}")
        self.seen |= found.keys()

    def judge(self, found: Iterable[tuple[int, int]]) -> list[str]:
        """What is wrong about the rows that the table has now, given as (number, part)."""
        rows = set(found)
        there = {number for number, _ in rows}
        whole = {(number, part) for number in there for part in range(parts(number))}
        fates = {fate: {n for n, told in self.fates.items() if told is fate} for fate in Fate}
        wrong = {
            "acknowledged and missing": fates[Fate.ACKNOWLEDGED] - there,
            "seen and missing": self.seen - there,
            "refused and there": fates[Fate.REFUSED] & there,
            "there in part": {number for number, _ in whole - rows},
            "never written": there - self.fates.keys(),
        }
        return [f"{self.name}: {what}: {sorted(numbers)}"
                for what, numbers in wrong.items() if numbers]  # fmt: skip


@dataclass
class KeyedWriter:
    """A user that repeats each write under its Idempotency-Key until it has succeeded."""

    session: Session
    done: list[int] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    """What it was told instead of success, and how often it was given an earlier success."""
    wrong: list[str] = field(default_factory=list)

    async def go_on(self, http, stopping: asyncio.Event) -> None:
        """One write after the other; the last one is seen through, too."""
        while not stopping.is_set():
            await self.write(http)
            await asyncio.sleep(PACE_S)

    async def write(self, http) -> None:
        """Insert the next event, however often it has to be asked for."""
        session = self.session
        session.last = number = session.last + 1
        headers = {**session.headers, "Idempotency-Key": f"{session.name} {number}"}
        url, row = f"{session.url}/rest/v1/events", {"author": session.name, "number": number}
        while True:
            answer = await ask(http, "POST", url, json=row, headers=headers)
            if answer.good:
                self.done.append(number)
                return
            self.told[str(answer)] += 1
            in_progress = answer.code == "IDEMPOTENCY_REQUEST_IN_PROGRESS"
            if answer.fate is None and not in_progress:
                self.wrong.append(f"write {number} was answered with {answer}: {answer.body}")
                return
            await asyncio.sleep(PACE_S)


class Steady:
    """Several sessions at work together."""

    def __init__(self, sessions: Iterable[Session]) -> None:
        self.sessions = tuple(sessions)
        self._stopping = asyncio.Event()

    @asynccontextmanager
    async def at_work(self):
        """All clients at work until the end of the context; what is in flight then is awaited."""
        keeping = aiohttp.TCPConnector(limit=0)
        changing = aiohttp.TCPConnector(limit=0, force_close=True)  # so on any of the workers
        async with (
            aiohttp.ClientSession(connector=keeping) as writing,
            aiohttp.ClientSession(connector=changing) as reading,
            asyncio.TaskGroup() as tasks,
        ):
            for session in self.sessions:
                tasks.create_task(self._go_on(session.write, writing))
                for reader in range(READERS):
                    tasks.create_task(self._go_on(session.read, reading, reader))
            await self.more()
            yield self
            self._stopping.set()

    async def _go_on(self, work, *arguments) -> None:
        while not self._stopping.is_set():
            await work(*arguments)
            await asyncio.sleep(PACE_S)

    def of(self, shard: str) -> tuple[Session, ...]:
        """The sessions whose tenant lives there."""
        return tuple(session for session in self.sessions if session.shard == shard)

    async def more(self, *, reads: int = 5, writes: int = 5, among=None) -> None:
        """Wait until each client (of these sessions) has succeeded so many times from now on."""
        wanted = [
            (log, sum(answer.good for answer in log) + count)
            for session in (self.sessions if among is None else among)
            for log, count in (*((each, reads) for each in session.reads), (session.writes, writes))
        ]
        await self._until(
            lambda: all(sum(answer.good for answer in log) >= count for log, count in wanted),
            "the clients do not get on",
        )

    async def refused(self, among, *codes: str) -> None:
        """Wait until the writer of each of these sessions is told one of these codes from now on."""
        begun = [(session.writes, len(session.writes)) for session in among]
        await self._until(
            lambda: all(
                any(answer.code in codes for answer in log[start:]) for log, start in begun
            ),
            f"no write was refused with {codes}",
        )

    async def _until(self, condition, failure: str) -> None:
        try:
            async with asyncio.timeout(MORE_WITHIN_S):
                while True:
                    if condition():
                        return
                    await asyncio.sleep(PACE_S)
        except TimeoutError:
            raise AssertionError(f"{failure}\n{self}") from None

    def __str__(self) -> str:
        """How many requests were answered how."""
        counts = Counter()
        for one in self.sessions:
            counts.update(f"{one.shard} write {answer}" for answer in one.writes)
            counts.update(f"{one.shard} read {answer}" for log in one.reads for answer in log)
        lines = [f"{count:6} {what}" for what, count in sorted(counts.items())]
        lines.append(f"{self.longest_outage_s():6.2f} s: the longest outage of reads")
        lines.append(f"{self.longest_read_s():6.2f} s: the longest read")
        return "\n".join(lines)

    def failures(self, kind: str, among=None) -> Counter[str]:
        """The requests that failed, by what they were told."""
        return Counter(
            str(answer)
            for session in (self.sessions if among is None else among)
            for log in ([session.writes] if kind == "write" else session.reads)
            for answer in log
            if not answer.good
        )

    def longest_outage_s(self) -> float:
        """For how long any reader was without an answer, once its reads had begun to fail."""
        longest = 0.0
        for log in (log for session in self.sessions for log in session.reads):
            failing_since = None
            for answer in log:
                if answer.good:
                    if failing_since is not None:
                        longest = max(longest, answer.ended - failing_since)
                    failing_since = None
                elif failing_since is None:
                    failing_since = answer.began
        return longest

    def longest_read_s(self) -> float:
        """What the slowest read took."""
        return max(
            (
                answer.ended - answer.began
                for session in self.sessions
                for log in session.reads
                for answer in log
            ),
            default=0.0,
        )

    def violations(self) -> list[str]:
        """What may never be, and was."""
        return [f"{one.name}: {what}" for one in self.sessions for what in one.violations]
