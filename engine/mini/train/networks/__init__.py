"""What is trained: each network with its loss and its training stage."""
