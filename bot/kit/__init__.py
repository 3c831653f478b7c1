"""What every feature builds on: the client, custom ids, buttons, selects, modals, checks. Knows no feature."""
