"""/help: how to use Easel, a page at a time."""
