"""The tables of the oracle and their rows: small, full of ties, NULLs and awkward values.

Values that PostgreSQL takes for equal are spelled the same (never 1.5 beside 1.50), and floats are
dyadic, so that groups, distinct rows and sums do not depend on the order of rows.
"""

from random import Random

TENANTS = tuple(range(1, 9))
ASKED = (1, 2, 5)
"""The tenants that statements run for, each with a database that holds it alone."""
EMPTY = 8
"""A tenant without orders."""

SHARDED = """
CREATE TABLE accounts (
    tenant_id KEY NOT NULL, id bigint NOT NULL, name text, email text COLLATE "C" NOT NULL,
    plan text, balance numeric(12,2), active boolean DEFAULT true, created_at timestamptz,
    parent_id bigint, ref uuid, settings jsonb, tags text[], PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, email)
);
CREATE TABLE orders (
    tenant_id KEY NOT NULL, id bigint NOT NULL, account_id bigint, status text DEFAULT 'new',
    total numeric, discount float8, placed_on date, ends_on date, shipped_at timestamptz,
    country text, note text, data jsonb, PRIMARY KEY (tenant_id, id)
);
CREATE TABLE items (
    tenant_id KEY NOT NULL, order_id bigint NOT NULL, line int NOT NULL, sku varchar(12),
    qty int DEFAULT 1 CHECK (qty >= 0), price numeric(10,2), "Gift Note" text,
    PRIMARY KEY (tenant_id, order_id, line),
    FOREIGN KEY (tenant_id, order_id) REFERENCES orders ON DELETE CASCADE
);
CREATE TABLE app.events (
    tenant_id KEY NOT NULL, id bigint NOT NULL, kind text, at timestamptz, weight real,
    payload jsonb, nums int[], "from" int, mood app.mood, code char(3), span interval, clock time,
    raw bytea, PRIMARY KEY (tenant_id, id)
) PARTITION BY HASH (tenant_id);
CREATE TABLE app.events_0 PARTITION OF app.events FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.events_1 PARTITION OF app.events FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE logs (
    tenant_id KEY NOT NULL, level int NOT NULL DEFAULT 1, message text DEFAULT 'none', at date,
    gone int, score app.score, size int GENERATED ALWAYS AS (length(message) + level) STORED
);
ALTER TABLE logs DROP COLUMN gone;
CREATE TABLE countries (
    code text PRIMARY KEY, name text, continent text, population bigint, currency text
);
CREATE TABLE plans (name text PRIMARY KEY, price numeric(8,2), quota int);
"""
TYPES = """
CREATE SCHEMA app;
CREATE DOMAIN app.score AS int CHECK (VALUE >= 0);
CREATE TYPE app.mood AS ENUM ('sad', 'ok', 'happy', 'Zen');
"""
GLOBAL = "CREATE TABLE flags (key text PRIMARY KEY, value text, on_by_default boolean);"

REFERENCE_ROWS = """
INSERT INTO countries VALUES
    ('at', 'Austria', 'Europe', 9100, 'EUR'), ('br', 'Brazil', 'America', 203000, 'BRL'),
    ('ax', 'Åland', 'Europe', 30, 'EUR'), ('ci', 'Côte d''Ivoire', 'Africa', 31000, 'XOF'),
    ('aq', 'Antarctica', NULL, NULL, NULL), ('jp', '日本', 'Asia', 124000, 'JPY');
INSERT INTO plans VALUES ('free', 0, 1), ('team', 29.00, 25), ('scale', 199.50, NULL);
"""
GLOBAL_ROWS = """
INSERT INTO flags VALUES ('beta', 'on', true), ('dark', NULL, false), ('limit', '7', NULL);
"""

NAMES = ["Ada", "ada", "Bob", "bob ", "Zoë", "Ångström", "", None, "O'Hara", "a_b", "100%", "日本"]
STATUSES = ["new", "paid", "done", "void", None]
TOTALS = [
    None,
    "0",
    "-1.5",
    "12.50",
    "7",
    "NaN",
    "Infinity",
    "-Infinity",
    "99999999999.01",
    "3.125",
]
FLOATS = [None, "0", "0.5", "-0.25", "1.5", "NaN", "Infinity", "1024"]
NOTES = [None, "", "a", "A", "b", "ä", "Z", "a b", "%", "_", "ß", "\U0001f600", " ", "B", "aa"]
DATES = ["2024-01-01", "2024-02-29", "2023-12-31", "1999-06-15", None]
ENDS = ["infinity", "-infinity", "2024-03-01", None, "2025-01-01"]
TIMES = ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00.000001Z", "1999-12-31T23:59:59+05:30", None]
CODES = ["at", "br", "ax", "ci", "xx", None]
SKUS = ["A-1", "A-2", "a-1", "B", "", None]
KINDS = ["click", "view", "Click", "näh", None]
JSONS = [
    '{"n": 1, "tag": "x"}',
    '{"n": 2}',
    "{}",
    None,
    '{"n": null, "tag": "y", "in": {"a": [1]}}',
]
ARRAYS = ["{1,2,3}", "{}", None, "{3,NULL}", "{2}"]
TAGS = ["{a,b}", "{}", None, "{b}", '{"a b",NULL}']


MOODS = ["sad", "ok", "happy", "Zen", None]
SHORT = ["a", "ab", "B", None]
SPANS = ["1 day", "2 hours", "1 month", "-3 days", None]
CLOCKS = ["00:00", "23:59:59.5", "12:30", None]
RAW = ["\\x00ff", "\\x", "\\x61", None]


def quoted(value: object) -> str:
    if value is None:
        return "NULL"
    return "'" + str(value).replace("'", "''") + "'"


def rows_of(tenant: int, key: str) -> str:
    """The inserts of one tenant's rows, the same in every run."""
    pick = Random(f"rows of {tenant}").choice
    statements = []

    def add(table: str, *values: object) -> None:
        texts = ", ".join(quoted(value) for value in (key, *values))
        statements.append(f"INSERT INTO {table} VALUES ({texts});")

    for number in range(1, 7):
        add("accounts", number, pick(NAMES), f"u{number % 4}.{number}@x", pick(["free", "team", "scale", None]),
            pick(["0.00", "10.50", "-3.25", "10.50", None]), pick([True, True, False, None]), pick(TIMES),
            pick([None, *range(1, number + 1)]), f"00000000-0000-4000-8000-0000000000{number % 3:02d}",
            pick(JSONS), pick(TAGS))  # fmt: skip
    for number in range(1, 1 if tenant == EMPTY else 13):
        add("orders", number, pick([*range(1, 8), None]), pick(STATUSES), pick(TOTALS), pick(FLOATS),
            pick(DATES), pick(ENDS), pick(TIMES), pick(CODES), pick(NOTES), pick(JSONS))  # fmt: skip
        for line in range(1, number % 3 + 1):
            add("items", number, line, pick(SKUS), pick([0, 1, 2, 5, None]),
                pick(["1.00", "2.50", "10.00", None]), pick(NOTES))  # fmt: skip
    for number in range(1, 9):
        add("app.events", number, pick(KINDS), pick(TIMES), pick(FLOATS), pick(JSONS), pick(ARRAYS),
            pick([1, 2, 3, None]), pick(MOODS), pick(SHORT), pick(SPANS), pick(CLOCKS), pick(RAW))  # fmt: skip
    for _ in range(4):
        add(
            "logs",
            pick([1, 2, 3]),
            pick(["up", "down", None, "up"]),
            pick(DATES),
            pick([0, 5, None]),
        )
    return "\n".join(statements)
