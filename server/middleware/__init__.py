"""What holds for every request, one concern a module; `server.front` has their order."""
