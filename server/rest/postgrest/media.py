"""Which representation a client accepts, and what kind of body it sent."""

from collections.abc import Iterator
from enum import Enum
from typing import Final

from router import Schema
from server.rest.errors import MediaUnavailable
from server.rest.request import Item, Shown


class Media(Enum):
    """A representation that can be made; the value is its Content-Type."""

    JSON = "application/json; charset=utf-8"
    ARRAY = "application/vnd.pgrst.array+json; charset=utf-8"
    OBJECT = "application/vnd.pgrst.object+json; charset=utf-8"
    ARRAY_STRIPPED = "application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8"
    OBJECT_STRIPPED = "application/vnd.pgrst.object+json;nulls=stripped; charset=utf-8"
    CSV = "text/csv; charset=utf-8"
    GEOJSON = "application/geo+json; charset=utf-8"

    def __init__(self, content_type: str) -> None:
        # plain attributes: an enum's `value` and hash are calls of Python, and this is read often
        self.content_type = content_type
        self.single = content_type.startswith("application/vnd.pgrst.object")
        """It holds exactly one row."""
        self.kind = {"text/csv": "text", "application/geo+json": "features"}.get(
            content_type.partition(";")[0], ""
        )
        """What its rows are, besides JSON: representations of one kind have one statement."""

    def shown(self, outputs: tuple[Item, ...]) -> Shown:
        """The outputs, as the rows of this representation show them."""
        return Shown(outputs, as_text=self.kind == "text", features=self.kind == "features")


_MADE: Final = {
    "*/*": Media.JSON,
    "application/*": Media.JSON,
    "application/json": Media.JSON,
    "application/vnd.pgrst.array+json": Media.ARRAY,
    "application/vnd.pgrst.array": Media.ARRAY,
    "application/vnd.pgrst.object+json": Media.OBJECT,
    "application/vnd.pgrst.object": Media.OBJECT,
    "text/csv": Media.CSV,
    "application/geo+json": Media.GEOJSON,
}


_STRIPPED: Final = {Media.ARRAY: Media.ARRAY_STRIPPED, Media.OBJECT: Media.OBJECT_STRIPPED}


def media_of(accept: str | None) -> Media:
    """The best of what the client accepts, by its weights and then its order.

    Raises:
        MediaUnavailable: Nothing of it can be made.
    """
    if accept is None or accept in {"*/*", "application/json"}:
        return Media.JSON
    wanted = sorted(weighed(accept), key=lambda item: -item[1])
    for name, weight, stripped in wanted:
        media = _MADE.get(name)
        if media is not None and weight > 0:
            return _STRIPPED.get(media, media) if stripped else media
    raise MediaUnavailable([name for name, _, _ in wanted])


def check_made(media: Media, schema: Schema) -> None:
    """Features are made where PostGIS is.

    Raises:
        MediaUnavailable: It is not there.
    """
    if media is Media.GEOJSON and not any(name == "st_asgeojson" for _, name in schema.functions):
        raise MediaUnavailable([media.content_type.partition(";")[0]])


def weighed(accept: str) -> Iterator[tuple[str, float, bool]]:
    """The types that a client accepts, their weights, and whether without nulls; in its order."""
    for item in accept.split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        if not name:
            continue
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                weight = _weight(parameter[2:])
        yield name.lower(), weight, "nulls=stripped" in parameters


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


def body_type(content_type: str | None) -> str:
    """The media type of a body, without parameters; JSON when it is not said."""
    if content_type is None:
        return "application/json"
    return content_type.partition(";")[0].strip().lower() or "application/json"
