"""Models that look at pictures: captions, masks by words, ranking, safety. Importing this never loads torch."""
