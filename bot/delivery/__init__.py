"""Showing jobs on Discord: progress, results, and the messages they are in."""
