"""/privacy: exporting and deleting a member's data, and what is forgotten by itself."""
