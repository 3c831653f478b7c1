"""Pictures changed by saying what."""
