"""What the bot does with jobs, independent of how it is shown: queue, run, store, deliver. Knows no Discord."""
