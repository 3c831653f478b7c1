"""Credits: transfers, accounts and allowances. Knows no Discord."""
