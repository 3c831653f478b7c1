"""What can be asked of the engine, one task at a time."""
