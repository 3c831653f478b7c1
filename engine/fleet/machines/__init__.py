"""Workers on other machines, which dial in over a WebSocket. Knows no torch."""
