"""Pixels: masks, tiles and what ControlNets follow, in Pillow and numpy alone. Knows no requests, no torch."""
