"""What is put right by itself while the bot runs: interrupted work, stray files, jumping clocks. Knows no Discord."""
