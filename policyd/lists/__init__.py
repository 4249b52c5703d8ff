"""How policyd asks DNS lists of clients and domains, and what their facts are worth."""
