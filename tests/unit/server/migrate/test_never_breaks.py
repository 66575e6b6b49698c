"""Whatever a file holds, it is read, routed and linted, or refused by name."""

from hypothesis import given, settings
from hypothesis import strategies as st

from server.migrate.errors import FilesRefused
from server.migrate.files import read_migrations
from server.migrate.lint import lint
from server.migrate.routing import route_all

WORDS = (
    "create alter drop table index view column constraint primary key unique foreign references "
    "check not null default generated identity exclude using add rename to type set on only if "
    "exists concurrently partition of inherits attach detach insert into values update delete from "
    "truncate lock vacuum full refresh materialized comment grant select function procedure do as "
    "trigger execute policy rule sequence owned by with publication for orders lines countries "
    "plans public . , ( ) = ; $$ 'x' tenant_id id int serial like cluster reindex copy search_path"
).split()

HEADS = (
    "create table orders (",
    "create unique index",
    "alter table orders",
    "alter table orders add",
    "comment on column",
    "grant select on",
    "create function",
    "create trigger",
    "create table lines (a int references",
    "with a as (",
)


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(("", *HEADS)), st.lists(st.sampled_from(WORDS), max_size=20))
def test_any_words_are_routed_and_linted_or_refused(world_of_two, head, words):
    try:
        migrations = read_migrations({"1_a.sql": " ".join((head, *words)).encode()})
    except FilesRefused:
        return

    ups, _ = route_all(world_of_two, migrations)
    found = lint(ups.values(), world_of_two, batch=False)

    assert all(str(finding) for finding in found)
