"""Easel's sentences in the languages of those who read them. Knows no Discord; the texts are in `catalogues/`."""
