"""The demonstration: an embedded cluster with a shop's data, and a tour that proves what it shows."""
