"""Making pictures larger: tiles and super-resolution models."""
