"""Stars and the gallery channel."""
