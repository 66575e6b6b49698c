"""The unmodified npm client `@supabase/postgrest-js`, in Node's own test runner."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "js"
HOW = "needs Node.js 18 or newer and its client: install Node.js, then run `make js`"


def skip_or_fail(reason):
    """Where no skip is allowed, what is missing is a failure."""
    if os.environ.get("FLUXSHARD_TESTS_ALLOW_SKIP") == "no":
        pytest.fail(reason)
    pytest.skip(reason)


def test_the_javascript_client_works_for_tenants_on_both_shards(stage, tenants, key):
    node = shutil.which("node")
    if node is None or not (HERE / "node_modules" / "@supabase").is_dir():
        skip_or_fail(HOW)
    described = [
        {"tenant": tenant, "key": key(tenant), "orders": stage.loaded.orders[tenant]}
        for tenant in tenants
    ]

    run = subprocess.run(
        [node, "--test", "postgrest.test.mjs"],
        cwd=HERE,
        env={
            **os.environ,
            "FLUXSHARD_URL": f"{stage.url}/rest/v1",
            "FLUXSHARD_TENANTS": json.dumps(described),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert "# pass 18" in run.stdout or "pass 18" in run.stdout, run.stdout[-2000:]
