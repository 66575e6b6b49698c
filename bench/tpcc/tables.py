"""The nine tables of TPC-C, where they are placed, and their first rows.

After the TPC-C standard, revision 5.11, clause 1 and 4.3.3: a warehouse has ten districts. How many
items and customers there are can be less than the standard's 100,000 and 3,000, and is recorded; as
many orders as customers have been placed in each district, and the last 30 % are not delivered.
`item` is a reference table, every other one is sharded by its warehouse.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shardmap import Placement, Reference, Sharded, ShardId, ShardMap, TableName, TenantId

DISTRICTS: Final = 10
FIRST_PAYMENT: Final = 10
"""What each customer has paid at first; the years' totals of districts and warehouses follow."""

PLACED: Final[Mapping[TableName, Placement]] = {
    TableName("public.item"): Reference(),
    **{
        TableName(f"public.{table}"): Sharded(f"{prefix}_w_id")
        for table, prefix in {
            "district": "d", "customer": "c", "history": "h", "new_order": "no", "orders": "o",
            "order_line": "ol", "stock": "s",
        }.items()
    },
    TableName("public.warehouse"): Sharded("w_id"),
}  # fmt: skip

SCHEMA: Final = """
CREATE TABLE item (i_id int PRIMARY KEY, i_im_id int, i_name text, i_price numeric(5,2), i_data text);
CREATE TABLE warehouse (w_id int PRIMARY KEY, w_name text, w_tax numeric(4,4), w_ytd numeric(12,2));
CREATE TABLE district (d_w_id int, d_id int, d_name text, d_tax numeric(4,4), d_ytd numeric(12,2),
    d_next_o_id int, PRIMARY KEY (d_w_id, d_id));
CREATE TABLE customer (c_w_id int, c_d_id int, c_id int, c_first text, c_last text, c_credit text,
    c_discount numeric(4,4), c_balance numeric(12,2), c_ytd_payment numeric(12,2), c_payment_cnt int,
    c_delivery_cnt int, c_data text, PRIMARY KEY (c_w_id, c_d_id, c_id));
CREATE INDEX ON customer (c_w_id, c_d_id, c_last, c_first);
CREATE TABLE history (h_w_id int, h_d_id int, h_c_w_id int, h_c_d_id int, h_c_id int,
    h_date timestamptz, h_amount numeric(6,2), h_data text);
CREATE INDEX ON history (h_w_id);
CREATE TABLE orders (o_w_id int, o_d_id int, o_id int, o_c_id int, o_entry_d timestamptz,
    o_carrier_id int, o_ol_cnt int, o_all_local int, PRIMARY KEY (o_w_id, o_d_id, o_id));
CREATE INDEX ON orders (o_w_id, o_d_id, o_c_id, o_id);
CREATE TABLE new_order (no_w_id int, no_d_id int, no_o_id int,
    PRIMARY KEY (no_w_id, no_d_id, no_o_id));
CREATE TABLE order_line (ol_w_id int, ol_d_id int, ol_o_id int, ol_number int, ol_i_id int,
    ol_supply_w_id int, ol_delivery_d timestamptz, ol_quantity int, ol_amount numeric(6,2),
    ol_dist_info text, PRIMARY KEY (ol_w_id, ol_d_id, ol_o_id, ol_number));
CREATE TABLE stock (s_w_id int, s_i_id int, s_quantity int, s_dist text, s_ytd int, s_order_cnt int,
    s_remote_cnt int, s_data text, PRIMARY KEY (s_w_id, s_i_id));
GRANT ALL ON ALL TABLES IN SCHEMA public TO service_role
"""

SYLLABLES: Final = ("BAR", "OUGHT", "ABLE", "PRI", "PRES", "ESE", "ANTI", "CALLY", "ATION", "EING")


@dataclass(frozen=True, slots=True)
class Scale:
    """How much there is."""

    warehouses: int = 8
    items: int = 10_000
    customers: int = 300
    """Of each district; and as many orders."""

    @property
    def undelivered_from(self) -> int:
        """The first order of each district that is not delivered yet."""
        return self.customers - self.customers * 3 // 10 + 1

    def fill(self, shard_map: ShardMap, shard: ShardId) -> Sequence[str]:
        """The statements that make a shard."""
        here = ",".join(
            str(warehouse)
            for warehouse in range(1, self.warehouses + 1)
            if shard_map.owner(TenantId(str(warehouse))) == shard
        )
        return (*SCHEMA.strip().split(";\n"), *self._rows(f"unnest('{{{here}}}'::int[])"))

    def _rows(self, warehouses: str) -> tuple[str, ...]:
        customers, first_new = self.customers, self.undelivered_from
        paid = FIRST_PAYMENT * customers
        lines = f"{_between('w.w * 31 + d.d * 17 + o.o', 5, 15)}"
        each = f"{warehouses} w, generate_series(1, {DISTRICTS}) d, generate_series(1, {customers})"
        last = "||".join(
            f"(ARRAY{list(SYLLABLES)})[((c.c - 1) % 1000) / {power} % 10 + 1]"
            for power in (100, 10, 1)
        )
        return (
            f"""INSERT INTO item SELECT i, i % 10000, 'item ' || i, {_between("i", 100, 9999)} / 100.0,
                md5(i::text) FROM generate_series(1, {self.items}) i""",
            f"""INSERT INTO warehouse SELECT w, 'w' || w, 0.05, {paid * DISTRICTS}
                FROM {warehouses} w""",
            f"""INSERT INTO district SELECT w, d, 'd' || d, 0.07, {paid}, {customers + 1}
                FROM {warehouses} w, generate_series(1, {DISTRICTS}) d""",
            f"""INSERT INTO customer SELECT w.w, d.d, c.c, md5(c.c::text), {last},
                CASE WHEN c.c % 10 = 0 THEN 'BC' ELSE 'GC' END, (c.c % 50) / 100.0,
                -{FIRST_PAYMENT}, {FIRST_PAYMENT}, 1, 0, repeat(md5(c.c::text), 10) FROM {each} c(c)
                """.replace(f"{warehouses} w,", f"{warehouses} w(w),").replace(") d,", ") d(d),"),
            f"""INSERT INTO history SELECT w, d, w, d, c, now(), {FIRST_PAYMENT}, 'first'
                FROM {each} c""",
            f"""INSERT INTO orders SELECT w.w, d.d, o.o, 1 + (o.o * 7 + d.d) % {customers}, now(),
                CASE WHEN o.o < {first_new} THEN {_between("o.o", 1, 10)} END, {lines}, 1
                FROM {each} o(o)
                """.replace(f"{warehouses} w,", f"{warehouses} w(w),").replace(") d,", ") d(d),"),
            f"""INSERT INTO new_order SELECT w, d, o FROM {each} o WHERE o >= {first_new}""",
            f"""INSERT INTO order_line SELECT o_w_id, o_d_id, o_id, n,
                {_between("o_id * 13 + n * 7", 1, self.items)}, o_w_id,
                CASE WHEN o_id < {first_new} THEN o_entry_d END, 5,
                CASE WHEN o_id < {first_new} THEN 0 ELSE {_between("o_id * n", 1, 999999)} / 100.0 END,
                md5(o_id::text) FROM orders, generate_series(1, o_ol_cnt) n""",
            f"""INSERT INTO stock SELECT w, i, {_between("w * 7 + i", 10, 100)}, md5(i::text),
                0, 0, 0, md5(i::text) FROM {warehouses} w, generate_series(1, {self.items}) i""",
            "VACUUM (ANALYZE)",
        )


def _between(seed: str, low: int, high: int) -> str:
    """SQL for a number from `low` to `high` that looks drawn, and is the same each time."""
    return f"({low} + (hashint4({seed})::bigint + 2147483648) % {high - low + 1})"
