"""What the editor learns from: changes of scenes, the words for them, and pairs of pictures on disk."""
