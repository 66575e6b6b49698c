"""What the databases hold, and what of it all shards have; roles and functions of ours."""
