"""Where Easel works: which servers, and what holds in direct messages."""
