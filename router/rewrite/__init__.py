"""Rewrites of a statement, by edits of its text."""
