from server.tenants.sizes import Extent, TableCount, by_shard, bytes_text, sizes_of
from shardmap import TableName, TenantId
from tests.unit.shardmap.maps import A, B, two_shards

ORDERS, LINES = TableName("public.orders"), TableName("public.lines")
MAP = two_shards()
KEYS = [TenantId(str(number)) for number in range(40)]
AT_A = next(key for key in KEYS if MAP.owner(key) == A)
AT_B = next(key for key in KEYS if MAP.owner(key) == B)


def test_a_tenant_is_as_large_as_its_tables_at_home():
    counts = [
        TableCount(A, ORDERS, {AT_A: Extent(3, 30), AT_B: Extent(99, 990)}),
        TableCount(A, LINES, {AT_A: Extent(4, 5)}),
        TableCount(B, ORDERS, {AT_B: Extent(1, 10)}, sampled=True),
    ]

    sizes = sizes_of(counts, MAP)

    assert sizes.of(AT_A) == Extent(7, 35)
    assert sizes.of(AT_B) == Extent(1, 10)
    assert sizes.of(TenantId("nobody")) == Extent()
    assert [one.tenant for one in sizes.largest()] == [AT_A, AT_B]
    assert by_shard(sizes) == {A: Extent(7, 35), B: Extent(1, 10)}
    assert sizes.sampled


def test_bytes_are_written_with_two_digits():
    texts = [bytes_text(count) for count in (0, 999, 1_200, 12_345, 999_999, 7_000_000, 3 * 10**12)]

    assert texts == ["0 B", "999 B", "1.2 kB", "12 kB", "1.0 MB", "7.0 MB", "3.0 TB"]
