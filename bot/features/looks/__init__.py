"""Styles that are pictures: a server names some, and their code brings their look into new ones."""
