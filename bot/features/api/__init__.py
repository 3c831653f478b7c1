"""The images API, in the shape of OpenAI's: a member's key, the same orders, queue, credits and rules as commands."""
