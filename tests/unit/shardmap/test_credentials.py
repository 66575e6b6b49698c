"""Logins by reference."""

import pytest

from shardmap import CredentialsUnavailable, Endpoint, Login, is_reference, resolve


def endpoint(credentials):
    return Endpoint("e", "h", 5432, "d", "flux", credentials)


def test_without_a_reference_the_user_logs_in_without_a_password():
    assert resolve(endpoint(None), {}) == Login("flux", None)


def test_a_variable_may_hold_a_password():
    assert resolve(endpoint("env:PW"), {"PW": " s3cret "}) == Login("flux", " s3cret ")


def test_a_variable_may_hold_a_url_whose_user_and_password_count():
    login = resolve(endpoint("env:URL"), {"URL": "postgres://other:s3cret@elsewhere:1/x"})

    assert login == Login("other", "s3cret")


def test_a_url_without_a_user_leaves_the_endpoints_own():
    assert resolve(endpoint("env:URL"), {"URL": "postgres://elsewhere/x"}) == Login("flux", None)


def test_a_file_may_end_in_a_line_break(tmp_path):
    (tmp_path / "pw").write_text("s3cret\r\n")

    assert resolve(endpoint(f"file:{tmp_path}/pw"), {}) == Login("flux", "s3cret")


def test_a_file_is_read_again_each_time(tmp_path):
    file = tmp_path / "pw"
    one = endpoint(f"file:{file}")
    file.write_text("old")
    before = resolve(one, {})

    file.write_text("new")

    assert (before.password, resolve(one, {}).password) == ("old", "new")


def test_a_login_does_not_show_its_password():
    assert "s3cret" not in repr(Login("flux", "s3cret"))


@pytest.mark.parametrize(
    ("reference", "environ", "message"),
    [
        ("env:PW", {}, "env:PW: the variable is not set"),
        ("env:PW", {"PW": ""}, "env:PW: the content is empty"),
        ("env:PW", {"PW": "postgres://u:s3cret@a,b/d"}, "env:PW: several hosts"),
        ("file:/does/not/exist", {}, "file:/does/not/exist: No such file"),
        ("file:/proc", {}, "file:/proc: Is a directory"),
        ("file:/dev/zero", {}, "more than 65536 bytes"),
        ("vault:x", {}, "env:NAME or file:/path"),
    ],
)
def test_what_leads_to_no_login_is_named_without_its_content(reference, environ, message):
    with pytest.raises(CredentialsUnavailable, match=message) as caught:
        resolve(endpoint(reference), environ)

    assert "s3cret" not in str(caught.value)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "pw").write_bytes(b"\xff\xfe")

    with pytest.raises(CredentialsUnavailable, match="not UTF-8"):
        resolve(endpoint(f"file:{tmp_path}/pw"), {})


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("env:DATABASE_URL", True),
        ("file:/run/secrets/pw", True),
        ("env:1X", False),
        ("env:", False),
        ("file:relative", False),
        ("s3cret", False),
        ("file:/a\0b", False),
    ],
)
def test_references_are_recognised(text, valid):
    assert is_reference(text) is valid
