"""GeoJSON and spatial filters, over a stand-in for PostGIS."""

import json

from router import WHOLE_ROWS

GEOJSON = "application/geo+json"


def feature(number, name, x, y):
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [x, y]},
        "properties": {"id": number, "name": name},
    }


async def test_rows_are_features_of_a_collection(library, tenants):
    url = "/places?select=id,name,at:spot&order=id&limit=2"
    reply = await library.postgrest("GET", url, tenant=tenants[0], Accept=GEOJSON)
    nowhere = await library.postgrest(
        "GET", "/places?id=eq.3", tenant=tenants[0], Accept=f"{GEOJSON}, */*;q=0.1"
    )
    none = await library.postgrest("GET", "/places?id=eq.9", tenant=tenants[0], Accept=GEOJSON)

    assert (reply.status, reply.content_type) == (200, "application/geo+json; charset=utf-8")
    assert json.loads(reply.body) == {
        "type": "FeatureCollection",
        "features": [feature(1, "Inn", 1, 2), feature(2, "Mill", 3, 4)],
    }
    assert json.loads(nowhere.body)["features"][0]["geometry"] is None
    assert json.loads(none.body) == {"type": "FeatureCollection", "features": []}


async def test_features_of_every_shard_are_one_collection(library, tenants):
    both = f"tenant_id=in.({tenants[0]},{tenants[1]})"
    reply = await library.postgrest(
        "GET", f"/places?select=id,name,spot&{both}&order=id&limit=4", Accept=GEOJSON
    )

    inn, mill = feature(1, "Inn", 1, 2), feature(2, "Mill", 3, 4)
    assert json.loads(reply.body)["features"] == [inn, inn, mill, mill]


async def test_large_collections_come_in_pieces(library, tenants):
    rows = [{"id": 100 + n, "name": "x", "spot": "POINT(1 2)"} for n in range(WHOLE_ROWS)]
    await library.postgrest("POST", "/places", rows, tenant=tenants[1], Prefer="return=minimal")

    reply = await library.postgrest("GET", "/places", tenant=tenants[1], Accept=GEOJSON)

    pieces = [piece async for piece in reply.pieces]
    await reply.pieces.close()
    assert len(json.loads(b"".join(pieces))["features"]) == WHOLE_ROWS + 3


async def test_features_need_a_geometry_and_postgis(library, api, tenants):
    for url in ("/books", "/places?select=id", "/places?select=spot::text"):
        refused = await library.postgrest("GET", url, tenant=tenants[0], Accept=GEOJSON)
        assert (refused.status, json.loads(refused.body)["code"]) == (400, "22023")
    without = await api.postgrest("GET", "/orders", tenant=tenants[0], Accept=GEOJSON)

    assert (without.status, json.loads(without.body)["message"]) == (
        406,
        "None of these media types are available: application/geo+json",
    )


async def test_the_native_api_filters_by_functions_of_geometries(library, tenants):
    for url, tenant, found in (
        ("/places?spot=st_within.POINT(1 2)&select=id", tenants[0], [1]),
        ("/places?spot=not.st_within.POINT(1 2)&select=id", tenants[0], [2]),
        ('/places?and=(spot.st_within."POINT(3 4)",id.gt.1)&select=id', tenants[0], [2]),
        ("/places?spot=st_within.POINT(1 2)&select=id", None, [1, 1]),
    ):
        rows = await library.rows(url.replace(" ", "%20"), tenant=tenant)
        assert [row["id"] for row in rows] == found
    wrong = await library.native("GET", "/places?name=st_within.POINT(1%202)", tenant=tenants[0])

    assert (wrong.status, json.loads(wrong.body)["code"]) == (400, "FEATURE_NOT_SUPPORTED")
