"""What is read from files beside a model's own."""
