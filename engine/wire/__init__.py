"""An engine's face as bytes: requests, events and errors between processes. Nothing that comes in is ever run."""
