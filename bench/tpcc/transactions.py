"""The five transactions of TPC-C (clause 2), one statement after the other.

A transaction of Fluxshard is on one shard. Where another warehouse of an order or a payment is on
another shard, its part is a transaction of its own, before the other: the stock of a remote supplier,
the balance of a remote customer. Each part is whole or not at all; both together are not atomic, and
how many transactions were in two parts is counted and printed.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from bench.outcome import Outcome
from bench.tpcc.draws import Line, Terminal
from bench.tpcc.session import AGAIN, Database, Refused, RolledBack, Transaction
from bench.tpcc.tables import DISTRICTS

ATTEMPTS: Final = 10
IN_PARTS: Final = "in two parts"
"""How a transaction over two shards is counted, where others name who served them."""


@dataclass(frozen=True, slots=True)
class Five:
    """The transactions of one terminal."""

    database: Database
    terminal: Terminal
    shards: Mapping[int, str]
    """Of each warehouse."""

    async def __call__(self) -> Outcome:
        """The next transaction's outcome."""
        kind = self.terminal.kind()
        run: Callable[[], Awaitable[str]] = {
            "new-order": self.new_order,
            "payment": self.payment,
            "order-status": self.order_status,
            "delivery": self.delivery,
            "stock-level": self.stock_level,
        }[kind]
        try:
            return Outcome(kind, "", await run())
        except RolledBack:
            return Outcome("new-order, rolled back")
        except Refused as error:
            return Outcome(kind, error.code)

    def _apart(self, warehouse: int) -> bool:
        return self.shards[warehouse] != self.shards[self.terminal.warehouse]

    async def new_order(self) -> str:
        """An order of 5 to 15 lines."""
        terminal = self.terminal
        district, customer = terminal.district(), terminal.customer()
        lines, mistaken = terminal.lines(), terminal.mistaken()
        apart = {line.supplier for line in lines if self._apart(line.supplier)}
        dist: dict[Line, str] = {}
        if not mistaken:
            for shard in sorted({self.shards[supplier] for supplier in apart}):
                there = [line for line in lines if self.shards[line.supplier] == shard]
                await self._again(partial(self._take, lines=there, dist=dist))
        here = [line for line in lines if line.supplier not in apart]

        async def order(tx: Transaction) -> None:
            await self._order(tx, district, customer, lines, here, dist, mistaken=mistaken)

        await self._again(order)
        return IN_PARTS if apart and not mistaken else ""

    async def _order(  # noqa: PLR0913, PLR0917 - an order
        self,
        tx: Transaction,
        district: int,
        customer: int,
        lines: list[Line],
        here: list[Line],
        dist: dict[Line, str],
        *,
        mistaken: bool,
    ) -> None:
        home = self.terminal.warehouse
        await tx.ask("SELECT w_tax FROM warehouse WHERE w_id = $1", home)
        found = await tx.ask(
            "UPDATE district SET d_next_o_id = d_next_o_id + 1 WHERE d_w_id = $1 AND d_id = $2"
            " RETURNING d_next_o_id - 1, d_tax",
            *(home, district),
        )
        number = found.rows[0][0]
        await tx.ask(
            "SELECT c_discount, c_last, c_credit FROM customer"
            " WHERE c_w_id = $1 AND c_d_id = $2 AND c_id = $3",
            *(home, district, customer),
        )
        wanted = [line.item for line in lines] + ([0] if mistaken else [])
        items = await tx.ask("SELECT i_id, i_price FROM item WHERE i_id = ANY($1::int[])", wanted)
        if len(items.rows) < len(wanted):
            raise RolledBack
        prices = dict(map(tuple, items.rows))
        await tx.ask(
            "INSERT INTO orders (o_w_id, o_d_id, o_id, o_c_id, o_entry_d, o_ol_cnt, o_all_local)"
            " VALUES ($1, $2, $3, $4, now(), $5, $6)",
            *(home, district, number, customer, len(lines)),
            int(all(line.supplier == home for line in lines)),
        )
        await tx.ask(
            "INSERT INTO new_order (no_w_id, no_d_id, no_o_id) VALUES ($1, $2, $3)",
            *(home, district, number),
        )
        await self._take(tx, here, dist)
        rows, params = [], list[object]()
        for at, line in enumerate(lines):
            first = len(params)
            rows.append("(" + ", ".join(f"${first + n}" for n in range(1, 10)) + ")")
            amount = f"{float(prices[line.item]) * line.quantity:.2f}"
            params += [home, district, number, at + 1, line.item, line.supplier, line.quantity]
            params += [amount, dist[line]]
        await tx.ask(
            "INSERT INTO order_line (ol_w_id, ol_d_id, ol_o_id, ol_number, ol_i_id, ol_supply_w_id,"
            f" ol_quantity, ol_amount, ol_dist_info) VALUES {', '.join(rows)}",
            *params,
        )

    async def _take(self, tx: Transaction, lines: list[Line], dist: dict[Line, str]) -> None:
        """Take an order's lines from their suppliers' stock."""
        for line in lines:
            found = await tx.ask(
                "UPDATE stock SET s_quantity = CASE WHEN s_quantity >= $1::int + 10"
                " THEN s_quantity - $1::int ELSE s_quantity - $1::int + 91 END,"
                " s_ytd = s_ytd + $1::int, s_order_cnt = s_order_cnt + 1,"
                " s_remote_cnt = s_remote_cnt + $2::int"
                " WHERE s_w_id = $3 AND s_i_id = $4 RETURNING s_dist",
                *(line.quantity, int(line.supplier != self.terminal.warehouse)),
                *(line.supplier, line.item),
            )
            dist[line] = found.rows[0][0]

    async def payment(self) -> str:
        """A customer pays; warehouse, district and customer each count it."""
        terminal = self.terminal
        home, district = terminal.warehouse, terminal.district()
        theirs, their_district = terminal.paying_warehouse(), terminal.district()
        if theirs == home:
            their_district = district
        amount = f"{terminal.chance.uniform(1, 5000):.2f}"
        name = terminal.last_name() if terminal.by_name() else None
        customer = terminal.customer()
        apart = self._apart(theirs)
        who = (theirs, their_district, name, customer)
        paid: list[int] = []

        async def count(tx: Transaction) -> None:
            paid[:] = [await self._paid(tx, amount, who)]

        async def pay(tx: Transaction) -> None:
            await tx.ask(
                "UPDATE warehouse SET w_ytd = w_ytd + $1::numeric WHERE w_id = $2", amount, home
            )
            await tx.ask(
                "UPDATE district SET d_ytd = d_ytd + $1::numeric WHERE d_w_id = $2 AND d_id = $3",
                *(amount, home, district),
            )
            if not apart:
                await count(tx)
            await tx.ask(
                "INSERT INTO history (h_w_id, h_d_id, h_c_w_id, h_c_d_id, h_c_id, h_date, h_amount,"
                " h_data) VALUES ($1, $2, $3, $4, $5, now(), $6, 'payment')",
                *(home, district, theirs, their_district, paid[0], amount),
            )

        if apart:
            await self._again(count)
        await self._again(pay)
        return IN_PARTS if apart else ""

    async def _paid(
        self, tx: Transaction, amount: str, who: tuple[int, int, str | None, int]
    ) -> int:
        """Count a payment of a customer; the customer's number."""
        warehouse, district, name, customer = who
        if name is not None:
            customer = await self._named(tx, warehouse, district, name)
        await tx.ask(
            "UPDATE customer SET c_balance = c_balance - $1::numeric,"
            " c_ytd_payment = c_ytd_payment + $1::numeric, c_payment_cnt = c_payment_cnt + 1,"
            " c_data = CASE WHEN c_credit = 'BC' THEN left($1::text || c_data, 500) ELSE c_data END"
            " WHERE c_w_id = $2 AND c_d_id = $3 AND c_id = $4",
            *(amount, warehouse, district, customer),
        )
        return customer

    @staticmethod
    async def _named(tx: Transaction, warehouse: int, district: int, name: str) -> int:
        """The middle one of the customers of that last name, by first name."""
        found = await tx.ask(
            "SELECT c_id FROM customer WHERE c_w_id = $1 AND c_d_id = $2 AND c_last = $3"
            " ORDER BY c_first",
            *(warehouse, district, name),
        )
        return int(found.rows[len(found.rows) // 2][0])

    async def order_status(self) -> str:
        """The last order of a customer, with its lines."""
        terminal = self.terminal
        home, district, customer = terminal.warehouse, terminal.district(), terminal.customer()
        name = terminal.last_name() if terminal.by_name() else None

        async def look(tx: Transaction) -> None:
            who = customer if name is None else await self._named(tx, home, district, name)
            await tx.ask(
                "SELECT c_balance, c_first, c_last FROM customer"
                " WHERE c_w_id = $1 AND c_d_id = $2 AND c_id = $3",
                *(home, district, who),
            )
            found = await tx.ask(
                "SELECT o_id, o_entry_d, o_carrier_id FROM orders WHERE o_w_id = $1 AND o_d_id = $2"
                " AND o_c_id = $3 ORDER BY o_id DESC LIMIT 1",
                *(home, district, who),
            )
            for row in found.rows:
                await tx.ask(
                    "SELECT ol_i_id, ol_supply_w_id, ol_quantity, ol_amount, ol_delivery_d"
                    " FROM order_line WHERE ol_w_id = $1 AND ol_d_id = $2 AND ol_o_id = $3",
                    *(home, district, row[0]),
                )

        await self._again(look)
        return ""

    async def delivery(self) -> str:
        """The oldest new order of each district is delivered."""
        home, carrier = self.terminal.warehouse, self.terminal.chance.randint(1, 10)

        async def deliver(tx: Transaction) -> None:
            for district in range(1, DISTRICTS + 1):
                await _delivered(tx, home, district, carrier)

        await self._again(deliver)
        return ""

    async def stock_level(self) -> str:
        """How many of the items last sold in a district are low."""
        home, district = self.terminal.warehouse, self.terminal.district()
        threshold = self.terminal.chance.randint(10, 20)

        async def look(tx: Transaction) -> None:
            found = await tx.ask(
                "SELECT d_next_o_id FROM district WHERE d_w_id = $1 AND d_id = $2", home, district
            )
            following = found.rows[0][0]
            await tx.ask(
                "SELECT count(DISTINCT s_i_id) FROM order_line"
                " JOIN stock ON s_i_id = ol_i_id"
                " WHERE ol_w_id = $1 AND s_w_id = $1 AND ol_d_id = $2 AND ol_o_id >= $3 AND ol_o_id < $4"
                " AND s_quantity < $5",
                *(home, district, following - 20, following, threshold),
            )

        await self._again(look)
        return ""

    async def _again(self, work: Callable[[Transaction], Awaitable[None]]) -> None:
        """Do it in a transaction; anew, when PostgreSQL ended it by chance."""
        for attempt in range(ATTEMPTS):
            try:
                async with self.database.transaction() as tx:
                    await work(tx)
            except Refused as error:
                if error.code not in AGAIN or attempt == ATTEMPTS - 1:
                    raise
            else:
                return


async def _delivered(tx: Transaction, home: int, district: int, carrier: int) -> None:
    found = await tx.ask(
        "SELECT no_o_id FROM new_order WHERE no_w_id = $1 AND no_d_id = $2"
        " ORDER BY no_o_id LIMIT 1 FOR UPDATE",
        *(home, district),
    )
    if not found.rows:
        return
    order = found.rows[0][0]
    taken = await tx.ask(
        "DELETE FROM new_order WHERE no_w_id = $1 AND no_d_id = $2 AND no_o_id = $3",
        *(home, district, order),
    )
    if not taken.changed:
        return  # another terminal has delivered it meanwhile
    sold = await tx.ask(
        "UPDATE orders SET o_carrier_id = $1 WHERE o_w_id = $2 AND o_d_id = $3 AND o_id = $4"
        " RETURNING o_c_id",
        *(carrier, home, district, order),
    )
    lines = await tx.ask(
        "UPDATE order_line SET ol_delivery_d = now()"
        " WHERE ol_w_id = $1 AND ol_d_id = $2 AND ol_o_id = $3 RETURNING ol_amount",
        *(home, district, order),
    )
    amount = f"{sum(float(row[0]) for row in lines.rows):.2f}"
    await tx.ask(
        "UPDATE customer SET c_balance = c_balance + $1::numeric, c_delivery_cnt = c_delivery_cnt + 1"
        " WHERE c_w_id = $2 AND c_d_id = $3 AND c_id = $4",
        *(amount, home, district, sold.rows[0][0]),
    )
