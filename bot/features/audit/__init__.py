"""The audit log: its acts, its channel, searching it."""
