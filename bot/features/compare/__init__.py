"""/compare: one prompt over one or two parameters."""
