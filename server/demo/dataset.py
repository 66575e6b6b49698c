"""The demonstration's rows: 36 companies of very different size, the same in every run.

Sizes follow Zipf's law, as tenants' sizes do: the largest company has about a quarter of all rows.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import orjson

SEED: Final = 20_240_607
TENANTS: Final = tuple(range(1, 37))
_CUSTOMERS_OF_LARGEST: Final = 5000
_FIRST_ID: Final = 1
_EPOCH: Final = datetime(2024, 1, 1, tzinfo=UTC)

Row = tuple[Any, ...]

COUNTRIES: Final = (
    ("AR", "Argentina", "ARS"),
    ("AT", "Austria", "EUR"),
    ("BR", "Brazil", "BRL"),
    ("CA", "Canada", "CAD"),
    ("CH", "Switzerland", "CHF"),
    ("DE", "Germany", "EUR"),
    ("ES", "Spain", "EUR"),
    ("FR", "France", "EUR"),
    ("GB", "United Kingdom", "GBP"),
    ("IN", "India", "INR"),
    ("JP", "Japan", "JPY"),
    ("KE", "Kenya", "KES"),
    ("MX", "Mexico", "MXN"),
    ("NO", "Norway", "NOK"),
    ("NZ", "New Zealand", "NZD"),
    ("PL", "Poland", "PLN"),
    ("US", "United States", "USD"),
    ("ZA", "South Africa", "ZAR"),
)

CATEGORIES: Final = tuple(
    enumerate(("Books", "Garden", "Kitchen", "Lamps", "Music", "Office", "Shoes", "Toys"), start=1)
)

_FIRST: Final = ("Ada", "Bo", "Chen", "Dina", "Eli", "Femi", "Grace", "Hugo", "Ines", "Jo", "Kai")
_LAST: Final = ("Abel", "Berg", "Costa", "Diaz", "Endo", "Falk", "Gupta", "Haas", "Ito", "Jung")
_THINGS: Final = ("lamp", "chair", "atlas", "kettle", "drum", "spade", "boot", "kite", "pen", "pan")
_COLOURS: Final = ("red", "green", "blue", "black", "white", "amber")
_COMPANIES: Final = ("Acorn", "Birch", "Cedar", "Dune", "Ember", "Fjord", "Grove", "Heron", "Iris")
_STATUSES: Final = ("cart", "placed", "paid", "paid", "shipped", "shipped", "shipped", "returned")

COLUMNS: Final = {
    "customers": (
        "tenant_id",
        "id",
        "name",
        "email",
        "country",
        "active",
        "born",
        "profile",
        "created_at",
    ),
    "products": ("tenant_id", "id", "category_id", "name", "price", "stock", "tags"),
    "orders": ("tenant_id", "id", "customer_id", "status", "total", "note", "placed_at"),
    "order_items": ("tenant_id", "id", "order_id", "product_id", "quantity", "price"),
}
"""The columns of each sharded table, in an order that satisfies the foreign keys."""


@dataclass(frozen=True, slots=True)
class Company:
    """One tenant's rows by table, in the order of `COLUMNS`."""

    tenant: int
    name: str
    rows: dict[str, list[Row]]


def companies() -> Iterator[Company]:
    """Every tenant with its rows, the largest first. About 120,000 rows in all."""
    for rank, tenant in enumerate(TENANTS, start=1):
        yield _company(tenant, rank)


def company_rows() -> list[Row]:
    """The rows of the global table `companies`."""
    plans = ("enterprise", "business", "starter")
    return [
        (tenant, company_name(tenant), plans[min(rank // 6, 2)], date(2020 + tenant % 5, 1, 1))
        for rank, tenant in enumerate(TENANTS)
    ]


def company_name(tenant: int) -> str:
    """The tenant's display name."""
    kind = ("Goods", "Supply", "Works", "Trading")[tenant % 4]
    return f"{_COMPANIES[tenant % len(_COMPANIES)]} {kind}"


def _company(tenant: int, rank: int) -> Company:
    chance = random.Random(SEED + tenant)
    count = max(12, int(_CUSTOMERS_OF_LARGEST / rank**1.1))
    products = [_product(tenant, number, chance) for number in _ids(max(8, count // 4))]
    customers = [_customer(tenant, number, chance) for number in _ids(count)]
    orders: list[Row] = []
    items: list[Row] = []
    for number in _ids(count * 2):
        lines = [
            (chance.choice(products), chance.randint(1, 5)) for _ in range(chance.randint(1, 3))
        ]
        total = sum((product[4] * quantity for product, quantity in lines), Decimal(0))
        placed = _EPOCH + timedelta(minutes=chance.randint(0, 900_000))
        note = chance.choice((None, None, "gift", "call first", "leave at the door"))
        status = chance.choice(_STATUSES)
        customer = customers[int(len(customers) * chance.random() ** 2)][1]
        orders.append((tenant, number, customer, status, total, note, placed))
        first = len(items) + 1
        items.extend(
            (tenant, line, number, product[1], quantity, product[4])
            for line, (product, quantity) in enumerate(lines, start=first)
        )
    rows = {"customers": customers, "products": products, "orders": orders, "order_items": items}
    return Company(tenant, company_name(tenant), rows)


def _ids(count: int) -> range:
    return range(_FIRST_ID, _FIRST_ID + count)


def _product(tenant: int, number: int, chance: random.Random) -> Row:
    name = f"{chance.choice(_COLOURS)} {chance.choice(_THINGS)} {number}"
    price = Decimal(chance.randint(100, 40_000)) / 100
    tags = sorted(chance.sample(_COLOURS, chance.randint(0, 3)))
    return (tenant, number, chance.choice(CATEGORIES)[0], name, price, chance.randint(0, 500), tags)


def _customer(tenant: int, number: int, chance: random.Random) -> Row:
    first, last = chance.choice(_FIRST), chance.choice(_LAST)
    profile = {"language": chance.choice(("en", "de", "es", "fr")), "visits": chance.randint(0, 90)}
    return (
        tenant,
        number,
        f"{first} {last}",
        f"{first}.{last}.{number}@customer.example".lower(),
        chance.choice(COUNTRIES)[0],
        chance.random() < 0.9,
        date(1950 + chance.randint(0, 55), chance.randint(1, 12), chance.randint(1, 28)),
        orjson.dumps(profile).decode(),
        _EPOCH + timedelta(minutes=chance.randint(0, 500_000)),
    )
