"""``postwarden registry``: what is registered, and what follows for DNS, packet filters and people."""
