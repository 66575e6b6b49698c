"""The consistency conditions of TPC-C (clause 3.3.2), asked of the servers after the load.

Conditions 1 to 10 and 12 are within a warehouse, and so within a shard. Two of our own are over all
shards: what was ordered has been taken from stock, what was paid has been counted for customers.
They show halves that are missing when a transaction over two shards was not finished.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from bench.world import World

WITHIN: Final[Mapping[str, str]] = {
    "1: a warehouse's total is its districts'": """
        SELECT count(*) FROM warehouse WHERE w_ytd <>
            (SELECT sum(d_ytd) FROM district WHERE d_w_id = w_id)""",
    "2: the next order follows the last one": """
        SELECT count(*) FROM district WHERE d_next_o_id - 1 <>
            (SELECT max(o_id) FROM orders WHERE o_w_id = d_w_id AND o_d_id = d_id)
            OR d_next_o_id - 1 <>
            (SELECT max(no_o_id) FROM new_order WHERE no_w_id = d_w_id AND no_d_id = d_id)""",
    "3: new orders have no gaps": """
        SELECT count(*) FROM (SELECT 1 FROM new_order GROUP BY no_w_id, no_d_id
            HAVING max(no_o_id) - min(no_o_id) + 1 <> count(*)) AS r""",
    "4: a district's orders have as many lines as they say": """
        SELECT count(*) FROM district WHERE
            (SELECT sum(o_ol_cnt) FROM orders WHERE o_w_id = d_w_id AND o_d_id = d_id) <>
            (SELECT count(*) FROM order_line WHERE ol_w_id = d_w_id AND ol_d_id = d_id)""",
    "5: an order is new, or it has a carrier": """
        SELECT count(*) FROM orders WHERE (o_carrier_id IS NULL) <> EXISTS (SELECT 1 FROM new_order
            WHERE no_w_id = o_w_id AND no_d_id = o_d_id AND no_o_id = o_id)""",
    "6: each order has as many lines as it says": """
        SELECT count(*) FROM orders WHERE o_ol_cnt <> (SELECT count(*) FROM order_line
            WHERE ol_w_id = o_w_id AND ol_d_id = o_d_id AND ol_o_id = o_id)""",
    "7: lines are delivered with their order": """
        SELECT count(*) FROM order_line JOIN orders
            ON o_w_id = ol_w_id AND o_d_id = ol_d_id AND o_id = ol_o_id
            WHERE (ol_delivery_d IS NULL) <> (o_carrier_id IS NULL)""",
    "8: a warehouse's total is its history": """
        SELECT count(*) FROM warehouse WHERE w_ytd <>
            (SELECT sum(h_amount) FROM history WHERE h_w_id = w_id)""",
    "9: a district's total is its history": """
        SELECT count(*) FROM district WHERE d_ytd <>
            (SELECT sum(h_amount) FROM history WHERE h_w_id = d_w_id AND h_d_id = d_id)""",
    "12: a customer's balance and payments are what was delivered": """
        SELECT count(*) FROM customer WHERE c_balance + c_ytd_payment <> (
            SELECT coalesce(sum(ol_amount), 0) FROM orders JOIN order_line
            ON ol_w_id = o_w_id AND ol_d_id = o_d_id AND ol_o_id = o_id
            WHERE o_w_id = c_w_id AND o_d_id = c_d_id AND o_c_id = c_id
            AND ol_delivery_d IS NOT NULL)""",
}
"""SQL that counts what breaks a condition."""

OVER_ALL: Final[Mapping[str, tuple[str, str]]] = {
    "what was ordered was taken from stock": (
        "SELECT coalesce(sum(s_ytd), 0) FROM stock",
        "SELECT coalesce(sum(ol_quantity), 0) FROM order_line WHERE ol_o_id > {customers}",
    ),
    "what was paid was counted for customers (10)": (
        "SELECT coalesce(sum(c_ytd_payment), 0) FROM customer",
        "SELECT coalesce(sum(h_amount), 0) FROM history",
    ),
}
"""Two sums over all shards that have to be equal."""


async def broken(world: World, customers: int) -> dict[str, str]:
    """The conditions that do not hold, and by how much; empty: all hold."""
    found: dict[str, str] = {}
    sums = {name: [Decimal(0), Decimal(0)] for name in OVER_ALL}
    for shard in world.cluster.endpoints().shards:
        async with world.superuser(shard.primary.name) as connection:
            for name, sql in WITHIN.items():
                number = await connection.fetchval(sql)
                if number:
                    found[f"{name} ({shard.id})"] = f"{number} do not"
            for name, sides in OVER_ALL.items():
                for side, sql in enumerate(sides):
                    value = await connection.fetchval(sql.format(customers=customers))
                    sums[name][side] += Decimal(value)
    for name, (one, other) in sums.items():
        if one != other:
            found[name] = f"{one} and {other}"
    return found
