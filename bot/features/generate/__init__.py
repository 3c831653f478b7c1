"""/imagine and what is made of a picture: variations, upscales, zooms, blends."""
