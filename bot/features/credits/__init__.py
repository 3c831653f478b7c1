"""/credits, /gift, quotas and what is bought on Discord."""
