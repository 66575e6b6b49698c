"""The users of the session checker, in a process of their own: they write, read, and judge what they see.

It reads a job as one JSON line from standard input, then a line for each phase, which it answers
with one: what became of so many reads. In a `writing` phase each user writes a row and, as soon as
that is acknowledged, reads through one instance after the other, two reads at a time; in a `quiet`
phase users only read. Users who keep themselves what they have seen send the `Fluxshard-Position` of
the last answer along; they read one at a time, because nobody could say which of two answers is last.
"""

import asyncio
import gc
import json
import random
import resource
import sys
import time
import uuid
from typing import Any, Final

import uvloop

from bench.http import Connection, Reply, look_after
from bench.sessions.guarantees import Tally, Verdict
from bench.sessions.users import User, Who, error_code, role_of, shown

HOST: Final = "127.0.0.1"
READS_PER_WRITE: Final = 8
AT_ONCE: Final = 2
"""Reads of one user that overlap."""
UNCHECKED: Final = "Prefer: consistency=any\r\n"
"""Any replica may answer, whatever the session has seen."""


class Users:
    """All users, and their connections to all instances."""

    def __init__(self, users: list[User], ports: list[int], seed: int, *, keeping: bool) -> None:
        self._users = users
        self._keeping = keeping
        self._at_once = 1 if keeping else AT_ONCE
        self._ports = ports
        self._reads = {
            checked: [user.read_with("" if checked else UNCHECKED) for user in users]
            for checked in (True, False)
        }
        self._checked = True
        self._chance = random.Random(seed)
        self._idle: dict[int, list[Connection]] = {port: [] for port in ports}
        self.connections: list[Connection] = []
        self._left = 0
        self._tally = Tally()
        self._writes = 0
        self._failed_writes: list[str] = []

    async def phase(self, reads: int, *, writing: bool, checked: bool) -> dict[str, Any]:
        """Until so many reads have been begun; what became of them."""
        self._checked = checked
        self._left, self._tally, self._writes, self._failed_writes = reads, Tally(), 0, []
        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for index in range(len(self._users)):
                tasks.create_task(self._go_on(index, writing=writing))
        return {
            "tally": self._tally.as_json(),
            "writes": self._writes,
            "failed_writes": self._failed_writes,
            "seconds": time.perf_counter() - began,
        }

    async def _go_on(self, index: int, *, writing: bool) -> None:
        while self._left > 0:
            if writing:
                await self._write(self._users[index])
            for _ in range(READS_PER_WRITE // self._at_once):
                async with asyncio.TaskGroup() as tasks:
                    for _ in range(self._at_once):
                        if self._left > 0:
                            self._left -= 1
                            tasks.create_task(self._read(index))

    async def _write(self, user: User) -> None:
        number = user.register.next_number()
        key = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        reply = await self._ask(user.write(number, key, user.position))
        self._note(user, reply)
        self._writes += 1
        if 200 <= reply.status < 300:
            user.register.acknowledged(number, time.perf_counter())
        else:
            self._failed_writes.append(f"{reply.status} {error_code(reply)}")

    async def _read(self, index: int) -> None:
        user = self._users[index]
        register = user.register
        expected, began_s = register.expected(), time.perf_counter()
        if self._keeping and self._checked:
            request = user.read_with(user.position)
        else:
            request = self._reads[self._checked][index]
        reply = await self._ask(request)
        self._note(user, reply)
        if reply.status != 200:
            self._tally.errors[f"{reply.status} {error_code(reply)}"] += 1
            return
        number = shown(reply)
        verdict = register.judge(expected, number)
        self._tally.verdicts[verdict] += 1
        if verdict is Verdict.STALE:
            self._tally.ages_ms.append(1000 * register.age_s(number, began_s))
        self._tally.by_role[role_of(reply.header(b"x-served-by"))] += 1

    def _note(self, user: User, reply: Reply) -> None:
        token = reply.header(b"fluxshard-position") if self._keeping else ""
        if token:
            user.position = f"Fluxshard-Position: {token}\r\n"

    async def _ask(self, request: bytes) -> Reply:
        """Send it to any instance, each time another."""
        port = self._chance.choice(self._ports)
        idle = self._idle[port]
        # the longest unused, so that all workers of an instance, each of which keeps the
        # connections that the kernel gave it, have their turns
        connection = idle.pop(0) if idle else Connection(HOST, port)
        if connection not in self.connections:
            self.connections.append(connection)
        try:
            return await connection.ask(request)
        finally:
            idle.append(connection)


async def main() -> None:
    """Do one job."""
    reader = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    job = json.loads(await reader.readline())
    users = [User(Who(**who)) for who in job["users"]]
    working = Users(users, job["ports"], job["seed"], keeping=job["keeping"])
    caring = asyncio.ensure_future(look_after(working.connections))
    gc.freeze()
    while line := await reader.readline():
        told = json.loads(line)
        done = await working.phase(told["reads"], writing=told["writing"], checked=told["checked"])
        usage = resource.getrusage(resource.RUSAGE_SELF)
        print(json.dumps({**done, "cpu_s": usage.ru_utime + usage.ru_stime}), flush=True)
    caring.cancel()
    for connection in working.connections:
        connection.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
