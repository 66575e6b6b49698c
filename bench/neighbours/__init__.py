"""Whether one tenant that floods, or one shard that stands still, harms the others."""
