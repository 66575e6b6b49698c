"""Who asks, over what protocol: HTTP, settings, the command line, the embedded cluster."""
