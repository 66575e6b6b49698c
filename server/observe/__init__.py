"""Facts to log lines and metrics: two readers of one stream of observations."""
