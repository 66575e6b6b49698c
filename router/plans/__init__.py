"""Where a statement goes with its arguments, and how the answers become one. Decides, never waits."""
