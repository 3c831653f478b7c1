"""What whoever runs the bot sees of it: is it alive, figures, and messages when it needs a hand."""
