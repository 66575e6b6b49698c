"""A short run of the differential oracle; the long one is `python -m tests.oracle.differential`."""

import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest_asyncio

from tests.oracle.differential.by_hand import cases_of
from tests.oracle.differential.compare import Refused, judge
from tests.oracle.differential.keys import STYLES
from tests.oracle.differential.run import run_statements
from tests.oracle.differential.tree import render
from tests.oracle.differential.world import Worlds, open_worlds

STATEMENTS = 250
FIXED_SEED = "short"


@pytest_asyncio.fixture
async def worlds(disposable_cluster) -> AsyncIterator[dict[str, Worlds]]:
    cluster = await disposable_cluster(shards=1, replicas=0)
    async with AsyncExitStack() as stack:
        yield {
            name: await open_worlds(
                stack, lambda database: cluster.url("shard_0-a", database), name, (1, 2, 4), keys
            )
            for name, keys in STYLES.items()
        }


async def test_generated_statements_are_answered_as_by_one_postgresql(worlds):
    for seed in (FIXED_SEED, secrets.token_hex(4)):
        report = await run_statements(worlds, seed, range(STATEMENTS))
        sys.stdout.write(report.text())

        assert report.differences == [], f"seed {seed}\n" + "\n".join(report.differences)
        assert report.tallies["attacks"].outcomes["answered"] > 0
        assert report.tallies["single-tenant"].refused_share < 0.10
        assert report.tallies["cross-tenant"].refused_share < 0.35


async def test_statements_written_by_hand_are_answered_as_by_one_postgresql(worlds):
    refused = []
    cases = list(cases_of(Path(__file__).with_name("by_hand.sql")))

    for case in cases:
        text = render(case.part)
        verdict = await judge(worlds["int"], case, text)

        assert verdict.difference == "", text.sql
        if isinstance(verdict.refusal, Refused):
            refused.append(text.sql)

    assert len(refused) < len(cases) / 5
