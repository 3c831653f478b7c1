"""The subcommands of `easel`: painting without Discord, administration, diagnosis."""
