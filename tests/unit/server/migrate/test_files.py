import pytest

from server.migrate.errors import FilesRefused
from server.migrate.files import read_migrations
from server.migrate.places import SHARDS_ONLY


def problems(**files):
    with pytest.raises(FilesRefused) as caught:
        read_migrations({name: text.encode() for name, text in files.items()})
    return list(caught.value.lines)


def test_files_are_ordered_by_number_whatever_its_width(world):
    found = world.migrations(_10_c="select 3", _9_b__up="select 2", _0001_a="select 1")

    assert [(one.version, one.name) for one in found] == [(1, "a"), (9, "b"), (10, "c")]


def test_a_down_file_belongs_to_its_version(world):
    (found,) = world.migrations(_1_a__up="create table t (id int)", _1_a__down="drop table t")

    assert found.down is not None
    assert found.down.statements[0].text == "drop table t"


def test_every_problem_of_a_directory_is_told_at_once():
    assert problems(
        **{
            "orders.sql": "select 1",
            "1_a.sql": "select 1",
            "01_b.sql": "select 2",
            "2_c.down.sql": "select 3",
            "3_d.sql": "select '",
            "4_e.sql": "-- nothing",
            "5_f.sql": "select 1; commit; select 2",
            "notes.txt": "…",
        }
    ) == [
        "1_a.sql: has the same version as 01_b.sql",
        "3_d.sql:1: ' is not closed",
        "4_e.sql: holds no statement",
        (
            "5_f.sql:1: COMMIT begins or ends a transaction; a file is one transaction by itself, "
            "or several with no-transaction"
        ),
        "orders.sql: is not named like 0001_create_orders.sql (or .up.sql, .down.sql)",
        "2_c.down.sql: undoes a version that has no file of its own",
    ]


def test_directives_stand_at_the_top(world):
    (found,) = world.migrations(
        _1_a="-- fluxshard: only: shards\n-- fluxshard: no-transaction\n"
        "-- fluxshard: lock-timeout: 500ms\n-- fluxshard: statement-timeout: 10m\n"
        "-- fluxshard: allow: L102, L109\nselect 1"
    )

    directives = found.up.directives
    assert directives.only == SHARDS_ONLY
    assert not directives.in_transaction
    assert (directives.lock_timeout_s, directives.statement_timeout_s) == (0.5, 600)
    assert directives.allow == {"L102", "L109"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("-- fluxshard: only: shard_0", "1_a.sql: the directive 'only': is shards, catalog, all"),
        ("-- fluxshard: lock-timeout: soon", "1_a.sql: the directive 'lock-timeout': 'soon' is no"),
        ("-- fluxshard: allow: everything", "1_a.sql: the directive 'allow': is a list of codes"),
        ("-- fluxshard: fast", "1_a.sql: the directive 'fast': means nothing"),
        ("select 0;\n-- fluxshard: only: all", "1_a.sql:2: a directive stands before the first"),
    ],
)
def test_directives_that_mean_nothing_are_refused(text, problem):
    (found,) = problems(**{"1_a.sql": f"{text}\nselect 1"})

    assert found.startswith(problem)


def test_begin_and_commit_around_a_whole_file_are_left_out(world):
    (found,) = world.migrations(_1_a="BEGIN; select 1; select 2; COMMIT;")

    assert [one.text for one in found.up.statements] == ["select 1", "select 2"]


def test_comments_directives_and_line_ends_do_not_change_the_checksum(world):
    def checksum(text):
        return world.migrations(_1_a=text)[0].up.checksum

    plain = checksum("select 1;\nselect\n2;")

    assert plain == checksum("-- fluxshard: only: all\nselect 1; -- why\r\n\r\nselect\r\n2")
    assert plain != checksum("select 1;\nselect\n3;")
    assert plain != checksum("select\n2;\nselect 1;")
