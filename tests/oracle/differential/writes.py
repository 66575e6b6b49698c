"""INSERT, UPDATE, DELETE and MERGE, each with one right outcome: no row is written twice."""

from __future__ import annotations

from .columns import Source, cast_to, name_of
from .expressions import Expressions
from .selects import Selects
from .sources import From
from .tenancy import Mode
from .tree import Part, Seq, Value, optional, piece

WRITTEN = {
    "accounts": ("name", "email", "plan", "balance", "active", "settings", "tags"),
    "orders": ("account_id", "status", "total", "discount", "placed_on", "country", "note", "data"),
    "items": ("sku", "qty", "price", "Gift Note"),
    "events": ("kind", "at", "payload", "nums", "from"),
    "logs": ("level", "message", "at", "score"),
}


class Writes(Selects):
    """Makes one write, at its top or in a CTE."""

    def write(self) -> Part:
        share = self.random.random()
        if share < 0.36:
            return self.insert()
        if share < 0.68:
            return self.update()
        if share < 0.86:
            return self.delete()
        if share < 0.91:
            return self.merge()
        if share < 0.96:
            return self.writing_cte()
        if self.mode is Mode.TENANT and not self.attack:
            return self.update()
        return self.reference_write()

    def key_number(self) -> int:
        """The tenant of an inserted row."""
        if self.attack and self.chance(0.5):
            return self.one_of(3, 4, 6)
        if self.mode is Mode.ACROSS and self.chance(0.7):
            return self.one_of(1, 2, 3, 4, 5, 6)
        return self.tenant

    def key_value(self) -> Value:
        tenant = self.key_number()
        return Value(self.keys.literal(tenant), self.keys.argument(tenant), "", self.bound)

    def constant(self, column: str, kind: str, number: int) -> Part:
        """A value for a column, of which unique ones differ."""
        if column == "email":
            text = self.one_of(f"new{number}@x", f"u{number % 4}.1@x")
            return Value(f"'{text}'", text, "", self.bound)
        if column == "level":
            return Value(str(number % 4), number % 4, "", self.bound)
        if self.chance(0.12):
            return self.one_of("NULL", "NULL", "DEFAULT") if column != "name" else "NULL"
        if column == "sku":
            return Value("'A-9'", "A-9", "", self.bound)
        return self.value(kind)

    def id_of(self, number: int) -> int:
        return self.random.choices([100 + number, self.random.randint(1, 14)], [65, 35])[0]

    def returning(self, source: Source, *, changes: bool = False) -> Part:
        if not self.chance(0.45):
            return ""
        qualified = source.alias if self.chance(0.3) else None
        columns = [name_of(column.name) for column in source.columns]
        prefix = f"{name_of(qualified)}." if qualified else ""
        some = Seq(tuple(prefix + each for each in self.random.sample(columns, 2)))
        shapes: list[Part] = [
            " RETURNING *",
            piece(" RETURNING ", some),
            piece(" RETURNING ", some),
        ]
        if source.table != "logs":
            first = prefix + columns[1]
            shapes.append(f" RETURNING {first} AS new_id, {first} + 1")
        if source.table == "orders" and changes:
            shapes.append(" RETURNING old.note, new.note, old.id")
        return piece(self.random.choice(shapes), smaller=("",))

    # INSERT

    def insert(self) -> Part:
        table = self.random.choices(
            ["orders", "accounts", "items", "events", "logs"], [5, 3, 2, 2, 1]
        )[0]
        if self.chance(0.1):
            return self.insert_select(table)
        if table == "logs" and self.chance(0.3) and self.mode is Mode.TENANT:
            return "INSERT INTO logs DEFAULT VALUES"
        schema, columns, key = self.tables[table]
        names = [each for each in WRITTEN[table] if self.chance(0.5)]
        if table == "accounts" and "email" not in names:
            names.append("email")
        kinds = {column.name: column.kind for column in columns}
        own = list((key or ("tenant_id",))[1:])
        keyed = self.mode is not Mode.TENANT or self.chance(0.35)
        count = self.random.choices([1, 2, 3, 5], [70, 12, 12, 6])[0]
        tenant = self.key_value() if self.mode is not Mode.ACROSS or self.chance(0.5) else None
        numbers = self.random.sample(range(1, 30), count)
        rows: list[Part] = []
        for number in numbers:
            values: list[Part] = [tenant or self.key_value()] if keyed else []
            for column in own:
                ident = self.id_of(number) if column == "id" else self.random.randint(1, 12)
                if column == "line":
                    ident = 10 + number if self.chance(0.8) else 1
                values.append(Value(str(ident), ident, "", self.bound))
            values.extend(self.constant(name, kinds[name], number) for name in names)
            rows.append(piece("(", Seq(tuple(values), least=len(values)), ")"))
        listed = [*(["tenant_id"] if keyed else []), *own, *names]
        full = f"{schema}.{table}" if schema != "public" or self.chance(0.2) else table
        alias = " AS target" if self.chance(0.08) else ""
        head = f"INSERT INTO {full}{alias} ({', '.join(map(name_of, listed))}) VALUES "
        source = Source("target" if alias else table, columns, key, table, tenant=True)
        conflict = self.on_conflict(table, names, source.alias)
        return piece(head, Seq(tuple(rows)), conflict, self.returning(source), writes=())

    def on_conflict(self, table: str, names: list[str], alias: str) -> Part:
        _, _, key = self.tables[table]
        if key is None or not self.chance(0.35):
            return ""
        place = f" ({', '.join(key)})"
        if self.chance(0.1):
            place = f" ON CONSTRAINT {table}_pkey"
        if self.chance(0.4):
            return optional(f" ON CONFLICT{place if self.chance(0.6) else ''} DO NOTHING")
        settable = [name for name in names if name != "email"]
        if not settable:
            return optional(f" ON CONFLICT{place} DO NOTHING")
        sets = [f"{name_of(name)} = EXCLUDED.{name_of(name)}" for name in settable]
        if self.attack and self.chance(0.5):
            sets.append(f"tenant_id = {self.keys.literal(self.one_of(3, 4))}")
        if "note" in settable and self.chance(0.5):
            sets = [f"note = coalesce({alias}.note, '') || coalesce(excluded.note, '-')"]
        where = optional(f" WHERE {alias}.{key[1]} > 3") if self.chance(0.2) else ""
        return optional(f" ON CONFLICT{place} DO UPDATE SET ", Seq(tuple(sets)), where)

    def insert_select(self, table: str) -> Part:
        """Rows of a table again, under ids of their own."""
        if table == "accounts":
            table = "orders"
        schema, columns, key = self.tables[table]
        names = [each for each in WRITTEN[table] if self.chance(0.4)] or [WRITTEN[table][0]]
        text, source = self.table(table, "s")
        made = From(text, (source,), self.tenancy(source, None))
        where = self.where(made, (), 0)
        keyed = self.mode is not Mode.TENANT or self.chance(0.3)
        own = list((key or ("tenant_id",))[1:])
        items = ["s.tenant_id"] if keyed else []
        items += [f"s.{name} + 100" if name in {"id", "line"} else f"s.{name}" for name in own]
        items += [f"s.{name_of(name)}" for name in names]
        listed = ", ".join([*(["tenant_id"] if keyed else []), *own, *map(name_of, names)])
        full = f"{schema}.{table}" if schema != "public" else table
        target = Source(table, columns, key, table, tenant=True)
        return piece(
            f"INSERT INTO {full} ({listed}) SELECT {', '.join(items)} FROM ", text, where,
            self.returning(target), writes=(),
        )  # fmt: skip

    # UPDATE

    def assignments(self, table: str, scope: tuple[Source, ...]) -> Part:
        kinds = {column.name: column.kind for column in self.tables[table][1]}
        names = [name for name in WRITTEN[table] if name not in {"email", "level", "sku"}]
        chosen = self.random.sample(
            names, self.random.choices([1, 2, 3], [60, 30, 10])[0] if len(names) > 2 else 1
        )
        sets: list[Part] = []
        for name in chosen:
            kind = kinds[name]
            small = kind in {"num", "int"} and name in {"price", "balance", "qty"}
            if self.chance(0.55) or small or kind == "json":
                value = self.constant(name, kind, 1)
                if small:
                    value = (
                        self.one_of("2", "NULL", f"{name_of(name)} + 1") if not scope[1:] else "3"
                    )
            else:
                made = self.expr(kind, scope, 1)
                value = piece("(", made.part, ")", cast_to(kind))
            sets.append(piece(f"{name_of(name)} = ", value))
        if len(names) > 2 and self.chance(0.06) and kinds[names[0]] in {"text", "big"}:
            pair = [name for name in names if kinds[name] == "text"][:2]
            if len(pair) == 2:
                sets = [
                    piece(
                        f"({pair[0]}, {pair[1]}) = ",
                        self.one_of("('p', 'q')", "(SELECT 'p', 'q')", "ROW('p', NULL)"),
                    )
                ]
        if table == "orders" and self.chance(0.05) and not self.bare:
            inner, source = self.table("accounts", next(self.names))
            link = piece(self.ref(source, "id"), " = ", self.ref(scope[0], "account_id"))
            conditions = (link, *self.tenancy(source, scope[0]))
            value = piece(
                "(SELECT max(",
                self.ref(source, "name"),
                ") FROM ",
                inner,
                " WHERE ",
                Seq(conditions, " AND "),
                ")",
            )
            sets = [piece("note = ", value)]
        if self.attack and self.chance(0.4):
            sets.append(f"tenant_id = {self.keys.literal(self.one_of(3, 4, self.tenant))}")
        return Seq(tuple(sets))

    def aimed(self, source: Source) -> Part:
        """WHERE that most often names one row by its key, as applications do."""
        conditions = list(self.tenancy(source, None))
        if source.table != "logs" and self.chance(0.5):
            column = {"items": "order_id"}.get(source.table or "", "id")
            number = self.random.randint(1, 13)
            conditions.append(
                piece(self.ref(source, column), " = ", Value(str(number), number, "", self.bound))
            )
        if not conditions or self.chance(0.45):
            conditions.append(self.condition((source,), 2))
        if self.chance(0.03):
            return ""
        return piece(" WHERE ", Seq(tuple(conditions), " AND "))

    def update(self) -> Part:
        table = self.random.choices(["orders", "accounts", "items", "events"], [5, 3, 2, 2])[0]
        text, target = self.table(table)
        if self.chance(0.14) and table in {"orders", "items"}:
            return self.update_from(table)
        self.bare = self.chance(0.5)
        sets, where = self.assignments(table, (target,)), self.aimed(target)
        self.bare = False
        tail = self.returning(target, changes=True)
        return piece("UPDATE ", text, " SET ", sets, where, tail, writes=())

    def update_from(self, table: str) -> Part:
        """An update from the one row that a row's foreign key names."""
        text, target = self.table(table, "t")
        other, own, theirs = (
            ("accounts", "account_id", "id") if table == "orders" else ("orders", "order_id", "id")
        )
        more, source = self.table(other, "f")
        link = f"t.{own} = f.{theirs}"
        tenants = self.tenancy(target, None)
        both = (
            "f.tenant_id = t.tenant_id"
            if self.mode is not Mode.TENANT or self.chance(0.5)
            else None
        )
        conditions = [link, *([both] if both else []), *tenants]
        if self.chance(0.5):
            conditions.append(super().condition((target, source), 0))
        sets = self.assignments(table, (target, source))
        return piece(
            "UPDATE ", text, " SET ", sets, " FROM ", more, " WHERE ", Seq(tuple(conditions), " AND "),
            optional(self.one_of(" RETURNING t.*", f" RETURNING f.id, t.{own}")) if self.chance(0.4) else "",
            writes=(),
        )  # fmt: skip

    # DELETE

    def delete(self) -> Part:
        table = self.random.choices(
            ["orders", "items", "events", "accounts", "logs"], [3, 3, 3, 2, 1]
        )[0]
        if self.chance(0.15):
            return self.delete_using()
        text, target = self.table(table)
        self.bare = self.chance(0.5)
        where = self.aimed(target)
        self.bare = False
        return piece("DELETE FROM ", text, where, self.returning(target), writes=())

    def delete_using(self) -> Part:
        text, target = self.table("items", "t")
        more, source = self.table("orders", "f")
        conditions = ["t.order_id = f.id", *self.tenancy(target, None)]
        if self.mode is not Mode.TENANT or self.chance(0.5):
            conditions.append("f.tenant_id = t.tenant_id")
        conditions.append(super().condition((source,), 0))
        tail = optional(" RETURNING t.line") if self.chance(0.3) else ""
        return piece(
            "DELETE FROM ", text, " USING ", more, " WHERE ", Seq(tuple(conditions), " AND "), tail,
            writes=(),
        )  # fmt: skip

    # MERGE

    def merge(self) -> Part:
        keyed = self.mode is not Mode.TENANT or self.chance(0.5)
        numbers = self.random.sample(range(1, 20), 2)
        tenant = self.keys.literal(self.key_number())
        rows = ", ".join(f"({tenant}, {number}, 'm{number}')" for number in numbers)
        link = "t.id = s.id" + (" AND t.tenant_id = s.tenant_id" if keyed else "")
        extra = piece(" AND ", self.tenant_is("t.tenant_id")) if self.mode is Mode.KEYED else ""
        matched = self.one_of(
            "UPDATE SET note = s.note", "DELETE", "UPDATE SET note = t.note || s.note", "DO NOTHING"
        )
        names, values = (
            ("tenant_id, id, note", "s.tenant_id, s.id, s.note")
            if keyed
            else ("id, note", "s.id, s.note")
        )
        return piece(
            f"MERGE INTO orders AS t USING (VALUES {rows}) AS s(tenant_id, id, note) ON {link}", extra,
            optional(f" WHEN MATCHED THEN {matched}"),
            f" WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})",
            optional(" RETURNING merge_action(), t.id") if self.chance(0.3) else "",
            writes=(),
        )  # fmt: skip

    # WITH … AS (a write)

    def writing_cte(self) -> Part:
        text, target = self.table("events", "e")
        where = self.aimed(target)
        match self.random.randrange(3):
            case 0:
                return piece(
                    "WITH gone AS (DELETE FROM ", text, where, " RETURNING e.*)"
                    " SELECT count(*), max(kind) FROM gone", writes=(),
                )  # fmt: skip
            case 1:
                return piece(
                    "WITH gone AS (DELETE FROM ", text, where, " RETURNING e.tenant_id, e.id, e.kind)"
                    " INSERT INTO logs (tenant_id, level, message) SELECT tenant_id, id, kind FROM gone",
                    writes=(),
                )  # fmt: skip
            case _:
                return piece(
                    "WITH changed AS (UPDATE ", text, " SET kind = 'seen'", where,
                    " RETURNING e.id, e.kind) SELECT * FROM changed", writes=(),
                )  # fmt: skip

    def reference_write(self) -> Part:
        return piece(self.one_of(
            "UPDATE countries SET currency = 'X' WHERE continent = 'Europe'",
            "INSERT INTO countries (code, name) VALUES ('zz', 'Nowhere') RETURNING code",
            "INSERT INTO countries (code, name) VALUES ('at', 'x') ON CONFLICT (code) DO UPDATE SET name = EXCLUDED.name",
            "DELETE FROM plans WHERE quota IS NULL", "DELETE FROM countries WHERE code = 'aq' RETURNING *",
            "UPDATE flags SET value = 'off' WHERE key = 'beta' RETURNING key", "INSERT INTO flags VALUES ('new', '1')",
            "UPDATE plans SET price = price * 2 RETURNING name, price",
        ), writes=())  # fmt: skip


__all__ = ["WRITTEN", "Expressions", "Writes"]
