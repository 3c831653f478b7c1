"""Jobs from the queue through the engine to their delivery. Knows no Discord."""
