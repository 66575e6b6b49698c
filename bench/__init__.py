"""Benchmarks: speed as a ratio against a peer or the floor, measured in the same run."""
