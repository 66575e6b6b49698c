"""PostgreSQL urls, and `host:port`."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardmap import Address, InvalidUrl, Tls, parse_url, split_host_port


@pytest.mark.parametrize(
    ("url", "address", "password"),
    [
        ("postgres://db1/fluxbase", Address("db1", None, "fluxbase"), None),
        ("postgresql://u@h:6432/d", Address("h", 6432, "d", "u"), None),
        ("postgres://u:p%40ss@h/d", Address("h", None, "d", "u"), "p@ss"),
        ("postgres://u:p:w@h/d", Address("h", None, "d", "u"), "p:w"),
        ("postgres://u:@h/d", Address("h", None, "d", "u"), None),
        ("postgres://u@[::1]:5433/d", Address("::1", 5433, "d", "u"), None),
        ("postgres://u@%2Frun%2Fpg:5433/d", Address("/run/pg", 5433, "d", "u"), None),
        ("postgres://u@/d?host=/run/pg&port=5433", Address("/run/pg", 5433, "d", "u"), None),
        ("postgres:///d?host=%2Frun%2Fpg", Address("/run/pg", None, "d"), None),
        ("postgres://h/d?user=u&password=p%26w", Address("h", None, "d", "u"), "p&w"),
        ("postgres://h?dbname=d", Address("h", None, "d"), None),
        (
            "postgres://u@h/d?sslmode=verify-full",
            Address("h", None, "d", "u", Tls.VERIFY_FULL),
            None,
        ),
        ("postgres://u%20x@h/my%2Fdb", Address("h", None, "my/db", "u x"), None),
    ],
)
def test_a_url_is_read_as_libpq_reads_it(url, address, password):
    assert parse_url(url) == (address, password)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://h/d", "starts with postgres:// or postgresql://"),
        ("h:5432", "starts with postgres:// or postgresql://"),
        ("postgres://u@h1,h2/d", "several hosts"),
        ("postgres://u@h1:1,h2:2/d", "several hosts"),
        ("postgres://u@/d?host=a,b", "several hosts"),
        ("postgres://u@h:0/d", "port is no number from 1 to 65535"),
        ("postgres://u@h:65536/d", "port is no number from 1 to 65535"),
        ("postgres://u@h:x/d", "port is no number from 1 to 65535"),
        ("postgres://u@::1/d", "IPv6"),
        ("postgres://u@[::1/d", "IPv6"),
        ("postgres://u@h/d?sslmode=never", "sslmode is one of disable"),
        ("postgres://u@h/d?target_session_attrs=any", "target_session_attrs is not supported"),
        ("postgres://u@h/d?port=1&port=2", "port is there twice"),
        ("postgres://u@h/d?x", "name=value"),
        ("postgres://u:p%zz@h/d", "two hexadecimal digits"),
        ("postgres://u@h/d%FF", "not UTF-8"),
        ("postgres://u@h/d%00", "NUL"),
        ("postgres://u@h/d#x", '"#"'),
        ("postgres://u@h o/d", "characters that no host name has"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(url, message):
    with pytest.raises(InvalidUrl, match=message):
        parse_url(url)


def refusal(url):
    try:
        parse_url(url)
    except InvalidUrl as error:
        return str(error)
    return ""


@given(st.text(alphabet="ab1:/?#@%&=S ", min_size=1, max_size=12))
def test_no_error_repeats_a_password_that_was_not_encoded(password):
    secret = password + "sEcReT"

    assert "sEcReT" not in refusal(f"postgres://u:{secret}@h:x/d")
    assert "sEcReT" not in refusal(f"postgres://u:{secret}=x@h/d")


@pytest.mark.parametrize("password", ["12/34", "a?b=c", "a/b?c=d", "1#2"])
def test_a_password_that_was_not_encoded_is_never_read_as_something_else(password):
    assert "must be percent-encoded" in refusal(f"postgres://u:{password}@h/d")


@given(
    st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), min_size=1),
    st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), min_size=1),
)
def test_any_login_survives_percent_encoding(user, password):
    url = f"postgres://{quote(user, safe='')}:{quote(password, safe='')}@h/d"

    assert parse_url(url) == (Address("h", None, "d", user), password)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("replica1:5432", ("replica1", 5432)),
        ("replica1", ("replica1", None)),
        ("10.0.0.1:6432", ("10.0.0.1", 6432)),
        ("[fe80::1%eth0]:1", ("fe80::1%eth0", 1)),
        ("[::1]", ("::1", None)),
        ("/run/pg:5433", ("/run/pg", 5433)),
        ("/run/pg/", ("/run/pg", None)),
    ],
)
def test_host_and_port_are_told_apart(text, place):
    if "%" in text:
        text = text.replace("%", "%25")
    assert split_host_port(text) == place


@pytest.mark.parametrize("text", ["", ":5432", "h:", "h:x", "a,b", "::1", "[::1]x", "a b"])
def test_what_is_no_host_and_port_is_refused(text):
    with pytest.raises(InvalidUrl):
        split_host_port(text)
