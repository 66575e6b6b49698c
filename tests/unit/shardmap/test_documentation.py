"""What docs/shard-map.md shows is what is read."""

import re
from pathlib import Path

from shardmap import (
    Durability,
    Global,
    Pin,
    Reference,
    Sharded,
    Tls,
    read_map,
    write_yaml,
)

TEXT = (Path(__file__).parents[3] / "docs" / "shard-map.md").read_text()


def test_the_example_is_a_valid_map_that_says_what_its_comments_say():
    (example,) = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)

    shard_map = read_map(example)

    first, second = shard_map.shards.values()
    assert (shard_map.cluster_id, shard_map.epoch) == ("shop", 12)
    assert first.primary.tls is Tls.VERIFY_FULL
    assert first.durability is Durability.QUORUM
    assert [(one.host, one.port, one.user) for one in first.replicas] == [
        ("db1-b.internal", 6432, "fluxshard_app"),
        ("db1-c.internal", 5432, "fluxshard_app"),
    ]
    assert (second.primary.name, second.primary.host) == ("big-box", "/run/postgresql")
    assert second.durability is Durability.ASYNC
    assert shard_map.tables == {
        "public.orders": Sharded("tenant_id"),
        "public.order_lines": Sharded("tenant_id"),
        "public.countries": Reference(),
        "public.plans": Global(),
    }
    assert shard_map.pins == {"42": Pin("shard_1"), "1001": Pin("shard_0", 3)}
    assert shard_map.slot_epochs == dict.fromkeys((17, 40, 41, 42, 43, 44), 2)
    assert read_map(write_yaml(shard_map)) == shard_map
