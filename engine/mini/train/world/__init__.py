"""How the toy world is drawn: the pen and the things."""
