"""The audit log, its channel, and a look at what is going on."""
