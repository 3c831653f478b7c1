"""/words: lists of words to draw from in a prompt, the server's and one's own."""
