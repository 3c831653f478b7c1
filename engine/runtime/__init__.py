"""The engine and its thread: jobs in, batched calls, events out."""
