"""How much memory models need, and how one is kept when it doesn't fit whole."""
