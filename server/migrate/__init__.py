"""Schema migrations on every database of a cluster: files, lint, plan, ledger, drift."""
