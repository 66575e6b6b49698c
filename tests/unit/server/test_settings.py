import string
from pathlib import Path

import pytest
from hypothesis import given, strategies

from server.configuration.forms import (
    ADDRESS,
    BOOLEAN,
    DURATION,
    ENDPOINTS,
    LIST,
    MASK,
    SIZE,
    ListenAddress,
    fraction,
    integer,
    masked_url,
)
from server.configuration.later import OF_COMMANDS, WITHOUT_EFFECT, without_effect
from server.configuration.reading import all_declarations, load_settings
from server.configuration.show import effective, table
from server.configuration.sources import parse_file
from server.errors import SettingsInvalid
from shardmap import KeyType

ROOT = Path(__file__).parents[3]
SECRET = "s" * 32
LEAST = {"DATABASE_URL": "postgres://u:pw@db/fluxbase", "FLUXBASE_AUTH_JWT_SECRET": SECRET}


def settings(**environ):
    return load_settings({**LEAST, **environ}, None)[0]


def notices(**environ):
    return load_settings({**LEAST, **environ}, None)[1]


def problems(environ, file=None):
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(environ, file)
    return [(problem.path, problem.message) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15m", 900), ("168h", 604800), ("30s", 30), ("500ms", 0.5), ("1h30m", 5400), ("0", 0),
     ("1.5s", 1.5), (' "30s" ', 30)],
)  # fmt: skip
def test_a_duration_is_written_as_in_go(text, seconds):
    assert DURATION.parse(text) == seconds


@pytest.mark.parametrize("text", ["15", "m", "-1s", "1 s", "1d", "1s!", ""])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="duration"):
        DURATION.parse(text)


@given(strategies.integers(min_value=0, max_value=10**10))
def test_a_duration_that_is_shown_can_be_read_again(milliseconds):
    assert DURATION.parse(DURATION.show(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("False", False), ('"false"', False), ("'true'", True), ("1", True),
     ("0", False), ("off", False), ("yes", True)],
)  # fmt: skip
def test_a_boolean_may_be_quoted(text, value):
    assert BOOLEAN.parse(text) is value


def test_what_is_no_boolean_is_refused():
    with pytest.raises(ValueError, match="neither true nor false"):
        BOOLEAN.parse("ture")


@pytest.mark.parametrize(
    ("text", "size"), [("1048576", 2**20), ("1MiB", 2**20), ("64 KiB", 2**16), ("2GB", 2 * 10**9)]
)
def test_a_size_is_in_bytes_or_has_a_unit(text, size):
    assert SIZE.parse(text) == size


@pytest.mark.parametrize("text", ["1M", "-1", "1.5MiB", "big", "٣"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="size"):
        SIZE.parse(text)


def test_a_list_is_separated_by_commas_and_has_no_empty_items():
    assert LIST.parse(' a , "b",, c') == ("a", "b", "c")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":8080", ListenAddress("", 8080)),
        ("127.0.0.1:0", ListenAddress("127.0.0.1", 0)),
        ("[::1]:80", ListenAddress("::1", 80)),
    ],
)
def test_an_address_to_listen_on_is_host_and_port(text, address):
    assert ADDRESS.parse(text) == address
    assert ADDRESS.parse(str(address)) == address


@pytest.mark.parametrize("text", ["8080", "host", "::1:80", ":99999", "a:b", ":٣"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match="address"):
        ADDRESS.parse(text)


def test_a_number_has_bounds():
    form = integer(1, 10)

    assert form.parse("10") == 10
    for text in ("0", "11", "ten", "1.0", "9" * 30):
        with pytest.raises(ValueError, match=r"whole number|must be"):
            form.parse(text)


def test_a_share_is_from_zero_to_one():
    form = fraction()

    assert [form.parse(text) for text in ("0", "1", "0.25", ".5", "1.0")] == [0, 1, 0.25, 0.5, 1]
    for text in ("-0.1", "1.1", "2", "nan", "half"):
        with pytest.raises(ValueError, match="number from 0 to 1"):
            form.parse(text)


def test_replicas_are_hosts_or_urls():
    assert ENDPOINTS.parse("r1:5432, postgres://u@r2/db") == ("r1:5432", "postgres://u@r2/db")
    with pytest.raises(ValueError, match="port"):
        ENDPOINTS.parse("r1:many")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://u:pw@h:1/d", f"postgres://u:{MASK}@h:1/d"),
        ("postgres://u:p%40w@h/d", f"postgres://u:{MASK}@h/d"),
        ("postgres://u@h/d?password=pw&sslmode=require", f"postgres://u@h/d?password={MASK}&sslmode=require"),
        ("postgres://h/d", "postgres://h/d"),
    ],
)  # fmt: skip
def test_a_url_is_shown_without_its_password(url, shown):
    assert masked_url(url) == shown


def test_little_is_enough_and_the_rest_has_the_guides_defaults():
    found = settings()

    assert found.database.url == "postgres://u:pw@db/fluxbase"
    assert found.database.url_name == "DATABASE_URL"
    assert found.database.max_connections == 25
    assert found.database.min_connections == 5
    assert found.database.max_conn_lifetime_s == 3600
    assert found.database.max_conn_idle_time_s == 1800
    assert found.http.address == ListenAddress("", 8080)
    assert found.http.rest_limit_bytes == 2**20
    assert found.http.bulk_limit_bytes == 10 * 2**20
    assert found.http.request_timeout_s == 30
    assert found.api.exposed_schemas == ("public",)
    assert found.api.max_page_size == 1000
    assert found.auth.tenant_claim == "tenant_id"
    assert found.auth.tenant_key_type is KeyType.INTEGER
    assert found.metrics.port == 9090
    assert found.cors.max_age_s == 300
    assert found.process.workers == 1


def test_the_environment_wins_over_the_file(tmp_path):
    file = tmp_path / "fluxshard.env"
    file.write_text(
        "FLUXBASE_API_MAX_PAGE_SIZE=500\nFLUXBASE_API_DEFAULT_PAGE_SIZE=100\nFLUXSHARD_WORKERS=3\n"
    )

    found, _ = load_settings({**LEAST, "FLUXSHARD_WORKERS": "2"}, file)

    assert (found.api.max_page_size, found.process.workers) == (500, 2)
    assert found.environ["FLUXBASE_API_MAX_PAGE_SIZE"] == "500"


def test_an_empty_value_is_as_good_as_none():
    assert settings(FLUXSHARD_WORKERS=" ").process.workers == 1


def test_all_problems_are_told_at_once_each_with_its_key(tmp_path):
    file = tmp_path / "broken.env"
    file.write_text("FLUXBASE_API_MAX_PAGE_SIZE=none\nwhat is this\n")

    found = problems(
        {
            "FLUXBASE_AUTH_JWT_SECRET": "short",
            "FLUXBASE_DATABASE_MIN_CONNECTIONS": "30",
            "FLUXBASE_LOGGING_CONSOLE_LEVEL": "loud",
            "FLUXBASE_DATABASE_SHARD_1": "postgres://one/db",
        },
        file,
    )

    assert found == [
        (f"{file}:2", "is not NAME=value"),
        (f"FLUXBASE_API_MAX_PAGE_SIZE ({file}:1)", "'none' is no whole number"),
        ("FLUXBASE_LOGGING_CONSOLE_LEVEL", "'loud' is none of debug, info, warn, error"),
        (
            "FLUXBASE_DATABASE_SHARD_0",
            "is not set, and FLUXBASE_DATABASE_SHARD_1 is: shards are numbered from 0 without a gap",
        ),
        ("DATABASE_URL", "is not set"),
        (
            "FLUXBASE_DATABASE_MIN_CONNECTIONS",
            "is 30, more than FLUXBASE_DATABASE_MAX_CONNECTIONS=25",
        ),
        ("FLUXBASE_AUTH_JWT_SECRET", "must have at least 32 bytes"),
    ]


def test_what_must_be_set_is_named():
    assert problems({}) == [
        ("FLUXBASE_AUTH_JWT_SECRET", "is not set"),
        ("DATABASE_URL", "is not set"),
    ]


def test_a_problem_with_a_secret_never_shows_it():
    found = problems(
        {
            "DATABASE_URL": "mysql://u:hunter2@db/x",
            "FLUXBASE_AUTH_JWT_SECRET": "hunter2",
        }
    )

    assert "hunter2" not in str(found)


def test_settings_never_show_a_secret():
    found = settings(
        FLUXBASE_DATABASE_SHARD_0="postgres://u:hunter2@s0/d",
        FLUXBASE_DATABASE_SHARD_0_READ_REPLICAS="postgres://u:hunter2@r0/d",
        FLUXBASE_DATABASE_READ_REPLICAS="postgres://u:hunter2@r/d",
    )

    for shown in (repr(found), "\n".join(effective(found))):
        assert "hunter2" not in shown
        assert SECRET not in shown
        assert "u:pw@" not in shown


def test_shards_are_numbered_and_may_have_replicas():
    found = settings(
        FLUXBASE_DATABASE_SHARD_0="postgres://s0/d",
        FLUXBASE_DATABASE_SHARD_1="postgres://s1/d",
        FLUXBASE_DATABASE_SHARD_1_READ_REPLICAS="r1:5432,r2:5432",
    )

    first, second = found.database.shards
    assert (first.url, first.url_name, first.read_replicas) == (
        "postgres://s0/d",
        "FLUXBASE_DATABASE_SHARD_0",
        (),
    )
    assert (second.url_name, second.read_replicas) == (
        "FLUXBASE_DATABASE_SHARD_1",
        ("r1:5432", "r2:5432"),
    )


def test_replicas_of_a_shard_that_is_not_there_are_a_problem():
    found = problems({**LEAST, "FLUXBASE_DATABASE_SHARD_0_READ_REPLICAS": "r:1"})

    assert found == [("FLUXBASE_DATABASE_SHARD_0_READ_REPLICAS", "is set without its shard")]


def test_ten_shards_are_in_the_order_of_their_numbers():
    urls = {f"FLUXBASE_DATABASE_SHARD_{n}": f"postgres://s{n}/d" for n in range(11)}

    assert [shard.url for shard in settings(**urls).database.shards] == [
        f"postgres://s{n}/d" for n in range(11)
    ]


def test_the_database_may_be_given_under_its_second_name():
    found, _ = load_settings(
        {"FLUXBASE_DATABASE_URL": "postgres://x/y", "FLUXBASE_AUTH_JWT_SECRET": SECRET}, None
    )

    assert (found.database.url, found.database.url_name) == (
        "postgres://x/y",
        "FLUXBASE_DATABASE_URL",
    )


def test_two_names_that_contradict_each_other_are_a_problem():
    assert problems({**LEAST, "FLUXBASE_DATABASE_URL": "postgres://x/y"}) == [
        ("DATABASE_URL", "DATABASE_URL and FLUXBASE_DATABASE_URL contradict each other")
    ]


def test_the_database_may_be_given_in_parts_and_its_password_stays_where_it_is():
    found, _ = load_settings(
        {
            "FLUXBASE_DATABASE_HOST": "db",
            "FLUXBASE_DATABASE_USER": "a b",
            "FLUXBASE_DATABASE_PASSWORD": "hunter2",
            "FLUXBASE_DATABASE_SSL_MODE": "require",
            "FLUXBASE_AUTH_JWT_SECRET": SECRET,
        },
        None,
    )

    assert found.database.url == "postgres://a%20b@db:5432/fluxbase?sslmode=require"
    assert found.database.url_name == "FLUXBASE_DATABASE_PASSWORD"


def test_the_url_wins_over_the_parts():
    assert settings(FLUXBASE_DATABASE_HOST="other").database.url == LEAST["DATABASE_URL"]


def test_an_unknown_name_is_told_with_what_may_have_been_meant():
    found = notices(FLUXBASE_DATABASE_MAX_CONECTIONS="3", FLUXSHARD_COLOUR="red", OTHER="x")

    assert [(unknown.name, unknown.meant) for unknown in found.unknown] == [
        ("FLUXBASE_DATABASE_MAX_CONECTIONS", "FLUXBASE_DATABASE_MAX_CONNECTIONS"),
        ("FLUXSHARD_COLOUR", None),
    ]


def test_a_name_of_a_feature_that_is_not_here_is_accepted():
    found = notices(
        FLUXBASE_REDIS_POOL_SIZE="9", FLUXBASE_EMAIL_FROM_NAME="x", FLUXSHARD_CONFIG="f"
    )

    assert found.unknown == ()
    assert found.without_effect == ("FLUXBASE_EMAIL_FROM_NAME", "FLUXBASE_REDIS_POOL_SIZE")


@pytest.mark.parametrize(
    ("environ", "chosen", "address"),
    [
        ({}, "local", "redis://localhost:6379/0"),
        ({"FLUXBASE_SCALING_BACKEND": "postgres"}, "postgres", "redis://localhost:6379/0"),
        (
            {"FLUXBASE_REDIS_ENABLED": "true", "FLUXBASE_REDIS_HOST": "r", "FLUXBASE_REDIS_DB": "3",
             "FLUXBASE_REDIS_PASSWORD": "p@ss"},
            "redis",
            "redis://:p%40ss@r:6379/3",
        ),
        (
            {"FLUXBASE_SCALING_BACKEND": "redis", "FLUXBASE_SCALING_REDIS_URL": "rediss://x:1/2"},
            "redis",
            "rediss://x:1/2",
        ),
    ],
)  # fmt: skip
def test_shared_state_is_where_the_settings_say(environ, chosen, address):
    shared = settings(**environ).shared

    assert (shared.chosen, shared.address) == (chosen, address)


def test_policies_are_by_default_and_by_table():
    found = settings(
        FLUXSHARD_CONSISTENCY="bounded=2s", FLUXSHARD_CONSISTENCY_ROUTES="products=any, sql=strong"
    ).freshness

    assert found.consistency.text() == "bounded=2000ms"
    assert {name: policy.text() for name, policy in found.routes.items()} == {
        "products": "any",
        "sql": "strong",
    }


def test_no_name_is_both_a_setting_and_without_effect():
    names = {name for declaration in all_declarations() for name in declaration.names}

    assert not [name for name in names if without_effect(name)]
    assert not names & (WITHOUT_EFFECT | OF_COMMANDS)


def test_no_name_is_declared_twice():
    names = [name for declaration in all_declarations() for name in declaration.names]

    assert len(names) == len(set(names))


def test_the_metrics_port_is_not_the_api_port():
    assert problems({**LEAST, "FLUXBASE_SERVER_ADDRESS": ":9090"}) == [
        (
            "FLUXBASE_METRICS_PORT",
            "is the port of FLUXBASE_SERVER_ADDRESS; 0 serves the metrics there only",
        )
    ]


def test_what_is_shown_can_be_used_as_a_settings_file():
    found = settings(FLUXSHARD_WORKERS="3", FLUXBASE_CORS_ALLOWED_ORIGINS="https://a,https://b")

    given, wrong = parse_file("\n".join(effective(found)), "shown")

    assert wrong == []
    assert {name: value.text for name, value in given.items()} == {
        "DATABASE_URL": f"postgres://u:{MASK}@db/fluxbase",
        "FLUXBASE_AUTH_JWT_SECRET": MASK,
        "FLUXSHARD_WORKERS": "3",
        "FLUXBASE_CORS_ALLOWED_ORIGINS": "https://a,https://b",
    }


def test_a_file_has_comments_quotes_and_escapes():
    text = (
        "\ufeff# a comment\n\n"
        "A=plain # not this\n"
        "export B='# as it is\\n'\n"
        'C="line\\n\\"two\\"" # comment\n'
        "D=a#b\r\n"
        "E=\n"
    )

    given, wrong = parse_file(text, "f")

    assert wrong == []
    assert {name: value.text for name, value in given.items()} == {
        "A": "plain",
        "B": "# as it is\\n",
        "C": 'line\n"two"',
        "D": "a#b",
        "E": "",
    }
    assert given["A"].source == "f:3"


def test_every_line_of_a_file_that_is_wrong_is_told():
    _, wrong = parse_file('A=\'open\nB="x" y\n1=2\nC=1\nC=2\n', "f")

    assert [str(problem) for problem in wrong] == [
        "f:1: A: the closing quote is missing",
        "f:2: B: there is text after the closing quote",
        "f:3: is not NAME=value",
        "f:5: C is given twice",
    ]


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path):
    (tmp_path / "latin").write_bytes(b"A=\xff")

    assert (str(tmp_path / "none"), "No such file or directory") in problems(
        LEAST, tmp_path / "none"
    )
    assert (str(tmp_path / "latin"), "is not UTF-8") in problems(LEAST, tmp_path / "latin")


TEXT = strategies.text(
    alphabet=strategies.characters(min_codepoint=1, codec="utf-8", exclude_characters="\r\n"),
)


@given(TEXT)
def test_any_text_can_be_written_between_double_quotes(value):
    written = value.replace("\\", "\\\\").replace('"', '\\"')

    given, wrong = parse_file(f'NAME="{written}"', "f")

    assert wrong == []
    assert given["NAME"].text == value


@given(
    strategies.dictionaries(
        strategies.sampled_from([name for d in all_declarations() for name in d.names])
        | strategies.builds("FLUXBASE_{}".format, strategies.text(string.ascii_uppercase)),
        TEXT,
        max_size=5,
    )
)
def test_any_values_give_settings_or_problems_with_known_keys(environ):
    try:
        load_settings({**LEAST, **environ}, None)
    except SettingsInvalid as error:
        names = {name for d in all_declarations() for name in d.names}
        assert {problem.path for problem in error.problems} <= names | set(environ)  # noqa: PT017


def test_the_table_of_settings_is_the_one_in_the_docs():
    assert "\n".join(table()).strip() in (ROOT / "docs" / "settings.md").read_text("utf-8")
