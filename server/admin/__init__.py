"""What operators and balancers ask: is it alive, how is it, what did it count; and the admin API."""

from server.admin.health import Health
from server.admin.map import MapDoor
from server.admin.metrics import Metrics
from server.admin.moves import MovesDoor
from server.admin.operator import Operators
from server.admin.port import AdminPort
from server.admin.tenants import TenantsDoor

__all__ = [
    "AdminPort",
    "Health",
    "MapDoor",
    "Metrics",
    "MovesDoor",
    "Operators",
    "TenantsDoor",
]
