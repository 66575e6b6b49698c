"""What a statement says, before an argument or a shard is seen: text to `Query`. Decides, never waits."""
