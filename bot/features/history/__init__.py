"""/history, /queue and /show: what one has made, how it came about, and what is on its way."""
