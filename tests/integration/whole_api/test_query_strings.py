"""What the grammar of query strings gives is answered, and its values are never in a statement's text."""

import importlib.util
import re
from itertools import islice
from pathlib import Path

import pytest

REQUESTS = 400


def _fuzzer():
    path = Path(__file__).parents[2] / "fuzz" / "query_strings.py"
    spec = importlib.util.spec_from_file_location("query_strings", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FUZZER = _fuzzer()
VALUES = re.compile(rf"{FUZZER.MARK}|71[0-9]{{6}}")
"""What only values hold."""


@pytest.mark.parametrize("seed", [1, 2])
def test_no_query_string_fails_the_server_or_gets_into_a_text(site, seed):
    before = len(site.asked)
    headers = {"Authorization": f"Bearer {site.token(site.A)}"}
    with site.client(headers=headers) as client:
        grammar = FUZZER.Grammar(seed, FUZZER.places_of(client.get("/rest/v1/").json()))
        for method, url in islice(grammar.requests(), REQUESTS):
            response = client.request(method, url)
            assert response.status_code < 500, (method, url, response.text)

    asked = site.asked[before:]
    assert len(asked) > REQUESTS / 10
    assert not [each.sql for each in asked if VALUES.search(each.sql)]
    assert [each.args for each in asked if any(FUZZER.MARK in str(arg) for arg in each.args)]
