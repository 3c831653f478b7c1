"""One folder a feature: its commands, buttons, views, service and store."""
