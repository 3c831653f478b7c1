"""Several engines as one: in processes of their own, one a card, or on other machines. Knows no torch."""
