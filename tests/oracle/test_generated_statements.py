"""A short run of the differential oracle; the long one is `python -m tests.oracle.differential`."""

import secrets
import sys
from contextlib import AsyncExitStack

from tests.oracle.differential.keys import STYLES
from tests.oracle.differential.run import run_statements
from tests.oracle.differential.world import open_worlds

STATEMENTS = 250
FIXED_SEED = "short"


async def test_generated_statements_are_answered_as_by_one_postgresql(disposable_cluster):
    cluster = await disposable_cluster(shards=1, replicas=0)
    async with AsyncExitStack() as stack:
        worlds = {
            name: await open_worlds(
                stack, lambda database: cluster.url("shard_0-a", database), name, (1, 2, 4), keys
            )
            for name, keys in STYLES.items()
        }

        for seed in (FIXED_SEED, secrets.token_hex(4)):
            report = await run_statements(worlds, seed, range(STATEMENTS))
            sys.stdout.write(report.text())

            assert report.differences == [], f"seed {seed}\n" + "\n".join(report.differences)
            assert report.tallies["single-tenant"].outcomes["answered"] > STATEMENTS // 4
            assert report.tallies["attacks"].outcomes["answered"] > 0
