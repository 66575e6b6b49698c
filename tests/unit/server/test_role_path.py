import pytest
from hypothesis import given, strategies

from server.auth import role_path

CLAIMS = {
    "role": "author",
    "$x@": "odd",
    "postgrest": {"roles": ["other", "author", 7], "wlcg": ["/groupa", "/groupb/"]},
    "https://www.example.com/role": {"key": "author"},
    'a"b': "quoted",
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".role", "author"),
        ("$.role", "author"),
        (" .role ", "author"),
        ("$['role']", "author"),
        ('$["role"]', "author"),
        (".$x@", "odd"),
        (".postgrest.roles[1]", "author"),
        (".postgrest.roles[-3]", "other"),
        (".postgrest.roles[3]", None),
        (".postgrest.roles[-4]", None),
        (".postgrest.roles[2]", 7),
        ('."https://www.example.com/role".key', "author"),
        ('."a\\"b"', "quoted"),
        ('.postgrest.roles[?(@ == "author")]', "author"),
        ("$.postgrest.roles[?@ == 'author']", "author"),
        ('.postgrest.roles[?(@ != "other")]', "author"),
        ('.postgrest.roles[?(@ ^== "aut")]', "author"),
        ('.postgrest.roles[?(@ ==^ "hor")]', "author"),
        ('.postgrest.roles[?(@ *== "utho")]', "author"),
        ('.postgrest.roles[?(@ == "none")]', None),
        (".postgrest.wlcg[0][1:]", "groupa"),
        (".postgrest.wlcg[1][1:-1]", "groupb"),
        (".postgrest.wlcg[1][:]", "/groupb/"),
        (".role[4:2]", None),
        (".missing.role", None),
        (".role.role", None),
        (".role[0]", None),
        ('.role[?(@ == "author")]', None),
        (".postgrest.roles[1:]", None),
    ],
)
def test_a_path_finds_what_is_there_and_nothing_else(path, found):
    assert role_path(path).find(CLAIMS) == found


@pytest.mark.parametrize(
    "path",
    ["", "$", "role", ".", "..role", ".a b", ".a[", ".a[x]", ".a[1:2][0]", '.a[?(@ ~ "x")]', '."a',
     '.a[?(@ == "x"]', '.a[?@ == "x")]'],
)  # fmt: skip
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ValueError, match="is no path to a role"):
        role_path(path)


@given(strategies.text())
def test_any_text_is_a_path_or_refused(text):
    try:
        path = role_path(text)
    except ValueError:
        return
    path.find(CLAIMS)
