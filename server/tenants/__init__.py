"""Tenants as operators see them: where they are, how large, taken out, brought in, deleted."""
