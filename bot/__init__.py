"""Easel's Discord bot: commands, credits, history and delivery around the engine."""
