"""Tables over HTTP in two dialects: the native API and PostgREST's, one planner behind both."""

from server.rest.desk import Answers
from server.rest.errors import RestError
from server.rest.page import Limits
from server.rest.relations import TenantColumn
from server.rest.served_by import Noting, told
from server.rest.surroundings import Surroundings, surroundings
from server.rest.tables import Tables

__all__ = [
    "Answers",
    "Limits",
    "Noting",
    "RestError",
    "Surroundings",
    "Tables",
    "TenantColumn",
    "surroundings",
    "told",
]
