"""Models that make pictures larger: which there are, and how their files become networks."""
