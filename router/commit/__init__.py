"""Writes on several shards, all or nothing, and snapshots of them."""
