"""Failover drills: servers and networks fail under steady load, and what was promised is checked."""
