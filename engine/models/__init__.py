"""Models: what is known of them, loading them, and what changes them."""
