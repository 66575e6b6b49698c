"""Changes of the shard map: proposed, measured, checked, applied and noted."""
