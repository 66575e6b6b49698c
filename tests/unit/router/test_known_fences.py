"""What probes said of fences: which reads they send away, and which of several tellers is believed."""

from types import MappingProxyType

from router.fences import Entry, Fence, ShardFences, left
from shardmap import ShardId, TenantId

A, B = ShardId("shard_0"), ShardId("shard_1")
SEVEN = TenantId("7")


def fences(*rows, version=1):
    return ShardFences(version, MappingProxyType({row.unit: row for row in rows}))


def test_a_read_is_at_home_where_its_unit_is_open_at_the_epoch_of_the_map():
    slot = Fence("slot:9", 3, "open")
    lifted = Fence("pin:7", 3, "gone", A)
    moved_away_once = Fence("pin:7", 2, "gone", B)

    assert left(fences(slot, lifted), (Entry("slot:9", 3),), SEVEN) is None
    assert left(fences(slot, moved_away_once), (Entry("slot:9", 3),), SEVEN) is None


def test_a_pin_that_is_newer_than_the_map_says_where_the_tenant_is_before_its_slot():
    slot = Fence("slot:9", 3, "open")
    gone = Fence("pin:7", 4, "gone", B)

    assert left(fences(slot, gone), (Entry("slot:9", 2),), SEVEN) is gone
    assert left(fences(gone), (Entry("slot:9", 1),), SEVEN) is gone
    at_home = fences(Fence("slot:9", 4, "gone", B), Fence("pin:7", 3, "open"))
    assert left(at_home, (Entry("slot:9", 2),), SEVEN) is None


def test_a_unit_that_is_elsewhere_is_not_at_home_at_any_epoch():
    gone = Fence("slot:9", 4, "gone", B)
    other = Fence("slot:8", 1, "open")

    assert left(fences(gone), (Entry("slot:9", 4),), SEVEN) is gone
    assert left(fences(gone, other), (Entry("slot:8", 1), Entry("slot:9", 4)), None) is gone
    assert left(fences(gone, other), (Entry("slot:8", 1),), None) is None
    lifted = Fence("pin:7", 3, "gone", A)
    assert left(fences(lifted), (Entry("pin:7", 2),), SEVEN) is lifted
