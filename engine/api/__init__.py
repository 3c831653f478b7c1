"""What an engine takes and gives: requests, events, errors. Knows no torch."""
