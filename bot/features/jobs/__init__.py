"""Other members' jobs: seeing, cancelling and deleting them."""
