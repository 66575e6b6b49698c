"""Documents that describe the API: OpenAPI 2.0 as PostgREST gives it, and 3.1 of the whole."""

from server.openapi.documents import Documents, Reader
from server.openapi.door import OpenApiDoor
from server.openapi.root import RootDocument, RootSpec
from server.openapi.shown import Mode
from server.openapi.swagger import place_of

__all__ = [
    "Documents",
    "Mode",
    "OpenApiDoor",
    "Reader",
    "RootDocument",
    "RootSpec",
    "place_of",
]
