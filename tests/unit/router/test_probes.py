"""What a probe asks an endpoint for."""

import asyncio

import pytest

from router.backend_settings import BackendSettings
from router.live.health import Monitor
from router.live.known_fences import FENCES
from router.live.replicas import Standing
from router.tasks import TaskOwner

ROW = {
    "recovering": True,
    "timeline": 1,
    "lsn": 1,
    "replayed_s": 0.0,
    "synchronous_standby_names": "",
    "sync_states": (),
    "flush_lsns": (),
    "prepared_names": (),
    "prepared_ages": (),
    "started": 1.0,
}


class _Replica:
    """A connection to a replica whose every probe is answered; keeps what it was asked."""

    def __init__(self):
        self.asked = []

    async def fetchrow(self, sql, *_args):
        self.asked.append(sql)
        return {"version": 0, "rows": "[]"} if sql == FENCES else ROW

    def is_closed(self):
        return False

    def terminate(self):
        pass


@pytest.mark.parametrize("bare", [True, False])
async def test_a_database_that_is_used_as_it_is_gets_no_question_for_fences(bare):
    replica = _Replica()

    async def opener():
        return replica

    monitor = Monitor(opener, BackendSettings(bare=bare), Standing())
    async with TaskOwner() as owner:
        asked = monitor.ask()
        owner.start(monitor.watch(), name="watch")
        await asyncio.wait_for(asked, 20)

    assert monitor.standing.alive
    assert (FENCES in replica.asked) is not bare
    assert (monitor.fences is None) is bare
