"""The real backends: connections, health, freshness, and statements on one shard."""
