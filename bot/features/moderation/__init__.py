"""Bans, blocked words, appeals, channels and pauses."""
