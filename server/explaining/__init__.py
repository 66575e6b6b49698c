"""What would happen to a statement: without any server, or with those that are there."""
