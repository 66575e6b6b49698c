"""Processes that share one port: one that serves, and the one that keeps them running."""
