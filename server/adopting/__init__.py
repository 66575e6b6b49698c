"""An existing application's database taken over: placements proposed, a migration written."""
