"""Two whole servers that share floors in the catalog, and the token that they hand out."""

from dataclasses import replace

import asyncpg
import pytest

from shardmap import CatalogSource, Reference, TableName

URL = "/rest/v1/places"


@pytest.fixture
async def servers(databases, served):
    """Two instances over one cluster with a table."""
    environ = {**databases.environment, "FLUXBASE_SCALING_BACKEND": "postgres"}
    first = await served(environ)
    await databases.execute(
        "CREATE TABLE places (id int PRIMARY KEY); GRANT ALL ON places TO service_role"
    )
    source = await asyncpg.connect(databases.url("catalog-a"))
    current = await CatalogSource(source).newest()
    await CatalogSource(source).apply(
        replace(current, epoch=current.epoch + 1, tables={TableName("public.places"): Reference()}),
        expected_epoch=current.epoch,
        author="test",
        reason="places",
    )
    await source.close()
    second = await served(environ)
    return first, second


async def test_a_position_is_given_taken_back_and_refused_when_it_is_none(servers):
    first, second = servers
    key = first.bearer(role="service_role")
    answer = await second.get(URL, headers={**key, "Prefer": "consistency=strong"})

    assert answer.status_code == 200, answer.text
    assert answer.headers["Preference-Applied"] == "consistency=strong"
    token = answer.headers["Fluxshard-Position"]

    again = await second.get(URL, headers={**key, "Fluxshard-Position": token})
    assert again.status_code == 200
    assert again.headers["Fluxshard-Position"]

    refused = await second.get(URL, headers={**key, "Fluxshard-Position": token[:-3] + "AAA"})
    assert refused.status_code == 400
    assert refused.json()["code"] == "POSITION_INVALID"
    assert "shared_state_lost" not in second.log
