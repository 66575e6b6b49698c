"""How settings are declared, written, read, and shown; what they are is in `server.settings`."""
