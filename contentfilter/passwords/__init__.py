"""Passwords that may open what is locked in a message: everybody's, and what the mail itself tells."""
