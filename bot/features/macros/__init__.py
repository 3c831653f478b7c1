"""/prefer: a member's own flags, each standing for words and flags."""
