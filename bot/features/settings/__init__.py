"""/settings, /style, /models and a server's defaults."""
