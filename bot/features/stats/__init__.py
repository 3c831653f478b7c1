"""Statistics, and messages to every server."""
