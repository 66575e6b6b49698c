from router import SchemaUnread
from server.errors import Dialect, failure_of
from shardmap import CATALOG


def test_a_schema_that_was_never_read_is_told_as_postgrest_tells_it():
    error = SchemaUnread(CATALOG, "the schema has not been read yet")

    found = failure_of(error, Dialect.POSTGREST)

    assert (found.status, found.code, found.message, found.details, found.hint) == (
        503,
        "PGRST002",
        "Could not query the database for the schema cache. Retrying.",
        "P219: the schema has not been read yet",
        None,
    )
    assert found.headers == (("Retry-After", "1"),)
    assert failure_of(error, Dialect.NATIVE).code == "P219"
