"""The prompt line: parsing, flags, permutations, and showing text safely. Pure."""
