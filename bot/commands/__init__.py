"""What members type and press. Each command parses, calls one service and shows the answer."""
