"""Rows of several calls in one forward."""
