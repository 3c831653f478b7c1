"""/describe and reading how a picture was made."""
