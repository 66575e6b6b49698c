"""Whole statements by mode, weighted as applications send them: selects, sets, CTEs and writes."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .columns import Column, Source
from .data import ASKED
from .expressions import Expressions
from .keys import Keys
from .sources import From, Select
from .tenancy import Mode
from .tree import Part, Seq, optional, piece
from .writes import Writes


@dataclass(frozen=True, slots=True)
class Case:
    """One statement for one caller. `service`: the service role asks in the tenant's name."""

    number: int
    mode: Mode
    tenant: int
    keys: Keys
    part: Part
    writes: bool
    json: bool
    attack: bool
    service: bool

    @property
    def scoped(self) -> int | None:
        """The tenant in context."""
        return self.tenant if self.mode is Mode.TENANT else None


def case(seed: str, number: int, keys: Keys) -> Case:
    """The statement of that number, the same for the same seed."""
    random = Random(f"{seed}:{number}")
    mode = random.choices(list(Mode), [40, 20, 40])[0]
    attack = mode is Mode.TENANT and random.random() < 0.08
    tenant = random.choice(ASKED)
    maker = Statements(random, mode=mode, tenant=tenant, keys=keys, attack=attack)
    writes = random.random() < 0.27
    part = maker.write() if writes else maker.read()
    if random.random() < 0.04:
        part = piece(
            random.choice(["/* app:list */ ", "-- made by app\n", "/* a /* b */ */\n"]), part
        )
    if random.random() < 0.03:
        part = piece(part, random.choice([" -- end", ";", "\n", " /* x */"]))
    locks = not writes and maker.locks
    return Case(
        number, mode, tenant, keys, part, writes or locks, random.random() < 0.25, attack,
        mode is Mode.TENANT and random.random() < 0.1,
    )  # fmt: skip


class Statements(Writes):
    """Makes one whole statement."""

    locks = False

    def read(self) -> Part:
        share = self.random.random()
        if share < 0.80:
            return self.simple()
        if share < 0.86:
            return self.set_operation()
        if share < 0.93:
            return self.with_cte()
        if share < 0.945:
            return self.recursive()
        if share < 0.96:
            return self.selected_values()
        if share < 0.975:
            return self.locked()
        return self.without_tables()

    def simple(self) -> Part:
        return self.select((), 2, top=True).part

    # Set operations

    def set_operation(self) -> Part:
        kinds = [
            self.one_of("int", "text", "date", "text", "num", "bool")
            for _ in range(self.random.randint(1, 2))
        ]
        tenanted = self.mode is Mode.ACROSS and self.chance(0.7)
        names = [next(self.names) for _ in kinds]
        arms = [
            self._arm(kinds, names, tenanted=tenanted)
            for _ in range(self.random.choices([2, 3], [85, 15])[0])
        ]
        words = [self.one_of(" UNION ", " UNION ALL ", " UNION ALL ", " EXCEPT ", " INTERSECT ", " UNION DISTINCT ",
                             " EXCEPT ALL ", " INTERSECT ALL ") for _ in arms[1:]]  # fmt: skip
        whole = arms[0]
        if len(arms) == 3 and self.chance(0.4):
            whole = piece(
                arms[0], words[0], "(", arms[1], words[1], arms[2], ")", smaller=tuple(arms)
            )
        else:
            for word, arm in zip(words, arms[1:], strict=True):
                whole = piece(whole, word, arm, smaller=(whole, arm))
        outputs = [Column(name, kind) for name, kind in zip(names, kinds, strict=True)]
        if tenanted:
            outputs.insert(0, Column("tenant_id", self.keys.kind))
        tail = (
            self.ordinals(outputs, limited=self.chance(0.5), top=True) if self.chance(0.5) else ""
        )
        return piece(whole, tail)

    def _arm(self, kinds: list[str], names: list[str], *, tenanted: bool) -> Part:
        text, source = self.table(self.sharded())
        made = From(text, (source,), self.tenancy(source, None))
        items: list[Part] = []
        if tenanted:
            items.append(self.ref(source, "tenant_id"))
        for kind, name in zip(kinds, names, strict=True):
            found = self._column((source,), (kind,))
            cast = {"int": "::bigint", "text": "::text"}.get(kind, "")
            part = piece("round(", found.part, ", 2)") if kind == "num" else found.part
            items.append(piece(part, cast, f" AS {name}"))
        where = self.where(made, (), 0)
        return piece("SELECT ", Seq(tuple(items), least=len(items)), " FROM ", made.part, where)

    # WITH

    def with_cte(self) -> Part:
        """One or two CTEs, and a SELECT from them, alone or joined with a table."""
        first = self._cte_body()
        name = self.one_of(
            "recent",
            "per_tenant",
            next(self.names),
            "orders" if self.attack or self.chance(0.3) else "t",
        )
        word = self.one_of("", "", "", "MATERIALIZED ", "NOT MATERIALIZED ")
        head = piece(f"WITH {name} AS {word}(", first.part, ")")
        source = Source(name, first.outputs, first.key, None, first.tenant)
        if self.chance(0.25):
            second = self._from_source(source, name, top=False)
            other = next(self.names)
            head = piece(head, f", {other} AS (", second.part, ")")
            source, name = Source(other, second.outputs, second.key, None, second.tenant), other
        return piece(head, " ", self._from_source(source, name, top=True).part)

    def _cte_body(self) -> Select:
        for _ in range(4):
            made = self.select((), 1, named=True)
            if self.mode is not Mode.ACROSS or made.tenant:
                return made
        return made

    def _from_source(self, source: Source, name: str, *, top: bool) -> Select:
        part: Part = name
        made = From(part, (source,), ())
        if source.tenant and self.chance(0.3):
            text, table = self.table("accounts", next(self.names))
            link = piece(self.ref(table, "tenant_id"), " = ", self.ref(source, "tenant_id"))
            made = From(piece(name, " JOIN ", text, " ON ", link), (source, table), ())
        make = self._grouped if self.chance(0.4) else self._plain
        return make(made, (), 1, named=not top, top=top)

    def recursive(self) -> Part:
        if self.chance(0.5):
            text, source = self.table("orders")
            where = self.tenancy(source, None)
            link = piece(self.ref(source, "id"), " = n.i")
            return piece(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4)"
                " SELECT n.i, ", self.ref(source, "note"), " FROM n JOIN ", text, " ON ",
                Seq((link, *where), " AND "),
            )  # fmt: skip
        base, source = self.table("accounts", "a")
        first = self.tenancy(source, None)
        root = piece(self.ref(source, "parent_id"), " IS NULL")
        more, child = self.table("accounts", "c")
        walk = Source("w", source.columns[:2], None, None, tenant=True)
        links = self.tenancy(child, walk)
        step = Seq(
            (piece(self.ref(child, "parent_id"), " = w.id"), piece("c.id <> w.id"), *links), " AND "
        )
        return piece(
            "WITH RECURSIVE w AS (SELECT a.tenant_id, a.id, 1 AS depth FROM ", base, " WHERE ",
            Seq((root, *first), " AND "), " UNION ALL SELECT c.tenant_id, c.id, w.depth + 1 FROM ",
            more, " JOIN w ON ", step, " WHERE w.depth < 4) ",
            self.one_of("SELECT * FROM w", "SELECT depth, count(*) FROM w GROUP BY depth",
                        "SELECT tenant_id, max(depth) FROM w GROUP BY tenant_id"),
        )  # fmt: skip

    # The rest

    def selected_values(self) -> Part:
        return piece(self.one_of(
            "VALUES (1, 'a'), (2, NULL)", "SELECT * FROM (VALUES (1, 'x'), (2, 'y')) AS v(a, b) ORDER BY a",
            "TABLE countries", "SELECT count(*) FROM countries", "TABLE plans ORDER BY name",
        ))  # fmt: skip

    def locked(self) -> Part:
        self.locks = True
        text, source = self.table(self.one_of("orders", "accounts"))
        made = From(text, (source,), self.tenancy(source, None))
        where = self.where(made, (), 0)
        word = self.one_of(" FOR UPDATE", " FOR SHARE", " FOR NO KEY UPDATE", " FOR UPDATE NOWAIT")
        return piece("SELECT ", self.ref(source, "id"), " FROM ", text, where, optional(word))

    def without_tables(self) -> Part:
        a = Expressions.expr(
            self, self.one_of("int", "text", "date", "num", "json", "bool", "ints"), (), 2
        )
        word = self.one_of(
            "SELECT ",
            "SELECT 1, ",
            "SELECT now() IS NOT NULL, ",
            "SELECT current_date > '2020-01-01', ",
        )
        return piece(word, a.part, self.one_of("", " AS answer", ' AS "An Answer"'))
