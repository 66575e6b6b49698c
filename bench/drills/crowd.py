"""What the users of a drill ask next, and what they make of the answers; decides, never waits.

Requests are due at a constant rate: a share of them are writes, each with an id of its own. A write
that was refused is tried again under the same id when its turn comes, as a careful client does; one
whose outcome is unknown is not, unless the API is asked to remember it (`Idempotency-Key`).
"""

import random
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from bench.drills.history import Fate, Kind, Operation, fate
from bench.http import Reply
from bench.sessions.guarantees import Expected
from bench.sessions.users import User, error_code, shown

PAUSE_S: Final = 1.0
"""Before a refused write is tried again, as the API's `Retry-After` says."""


class Errand(NamedTuple):
    """One request of one user."""

    user: User
    kind: Kind
    request: bytes
    key: str
    number: int
    """Of a write: which of the user's rows it inserts."""
    expected: Expected
    """Of a read: what it has to show."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How the users behave."""

    write_share: float = 0.2
    repeat_unknown: bool = False
    """Send each write with an `Idempotency-Key`, and repeat it when its outcome is unknown."""
    seed: int = 1


class Crowd:
    """All users of a drill."""

    def __init__(self, users: Sequence[User], habits: Habits) -> None:
        self._users = users
        self._habits = habits
        self._chance = random.Random(habits.seed)
        self._again: deque[tuple[float, User, int, str]] = deque()

    def next_errand(self, now: float) -> Errand:
        """What is to be asked now."""
        if self._chance.random() < self._habits.write_share:
            if self._again and self._again[0][0] <= now:
                _, user, number, key = self._again.popleft()
            else:
                user = self._chance.choice(self._users)
                number = user.register.next_number()
                key = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
            return self._write(user, number, key)
        user = self._chance.choice(self._users)
        return Errand(user, Kind.READ, user.read, "", 0, user.register.expected())

    def told(
        self, errand: Errand, reply: Reply, due_s: float, ended_s: float
    ) -> tuple[Operation, str]:
        """The request as history has it, and the verdict on a read (empty for others)."""
        code = "" if 200 <= reply.status < 300 else error_code(reply)
        retry_after = bool(reply.header(b"retry-after"))
        served = reply.header(b"x-served-by")
        operation = Operation(
            errand.kind, errand.key, due_s, ended_s, reply.status, code, retry_after, served
        )
        if errand.kind is Kind.READ:
            register = errand.user.register
            verdict = register.judge(errand.expected, shown(reply)) if operation.good else ""
            return operation, str(verdict)
        told = fate(operation)
        if told is Fate.ACKNOWLEDGED:
            errand.user.register.acknowledged(errand.number)
        elif told is Fate.REFUSED or (told is Fate.UNKNOWN and self._habits.repeat_unknown):
            self._again.append((ended_s + PAUSE_S, errand.user, errand.number, errand.key))
        return operation, ""

    def _write(self, user: User, number: int, key: str) -> Errand:
        headers = f"Idempotency-Key: {key}\r\n" if self._habits.repeat_unknown else ""
        request = user.write(number, key, headers)
        return Errand(user, Kind.WRITE, request, key, number, Expected(0, 0))
