"""What operators and balancers ask: is it alive, is it ready, how is it, what did it count."""

from server.admin.health import Health
from server.admin.metrics import Metrics

__all__ = ["Health", "Metrics"]
