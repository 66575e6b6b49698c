"""Documents that describe the API: OpenAPI 2.0 as PostgREST gives it."""

from server.openapi.documents import Documents, Reader
from server.openapi.root import RootDocument, RootSpec
from server.openapi.shown import Mode
from server.openapi.swagger import place_of

__all__ = ["Documents", "Mode", "Reader", "RootDocument", "RootSpec", "place_of"]
