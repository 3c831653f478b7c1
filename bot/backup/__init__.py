"""Backups: a whole Easel as one file, made beside the running bot, checked, and put back. Knows no Discord."""
