"""Work that blocks, off the event loop."""
