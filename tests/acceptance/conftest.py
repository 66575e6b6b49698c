"""The demonstration as a server under test.

stage (session)
    A running `server.demo.stage.Stage`: cluster, data and API server (two workers), shared by all
    acceptance tests. Tests leave the data as they found it, or write under ids of their own.
tenants (session)
    Two tenants that live on different shards, the larger first.
key (function)
    `key(tenant)`, `key(role="service_role")`: API keys.
api (function)
    An `httpx.AsyncClient` on the API.
"""

import asyncio
import os
import threading

import httpx
import pytest
import pytest_asyncio

from server.demo.screen import Screen
from server.demo.stage import Options, open_stage

START_LIMIT_S = 120


class _StageThread:
    """Keeps a stage open on an event loop of its own, away from those of the tests."""

    def __init__(self, options):
        self._options = options
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))
        self.stage = None
        self.failure = None

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(START_LIMIT_S)
        if self.failure is not None:
            raise self.failure
        return self.stage

    def __exit__(self, *_):
        if self.failure is None:
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    async def _main(self):
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        try:
            with open(os.devnull, "w") as nowhere:  # noqa: ASYNC230, PTH123 - the null device
                async with open_stage(self._options, Screen(nowhere)) as stage:
                    self.stage = stage
                    self._ready.set()
                    await self._end.wait()
        except BaseException as failure:  # noqa: BLE001 - raised again in the fixture
            self.failure = failure
            self._ready.set()


@pytest.fixture(scope="session")
def stage(clusters_directory):
    options = Options(clusters_directory / "stage", 18200, shards=2, replicas=2, workers=2)
    with _StageThread(options) as stage:
        yield stage


@pytest.fixture(scope="session")
def tenants(stage):
    return stage.two_tenants()


@pytest.fixture
def key(stage):
    def make(tenant=None, role="authenticated"):
        return stage.key(role, tenant)

    return make


@pytest_asyncio.fixture
async def api(stage):
    async with httpx.AsyncClient(base_url=stage.url, timeout=30) as client:
        yield client
