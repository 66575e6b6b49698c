"""The session checker: no read older than what its session has written or seen."""
