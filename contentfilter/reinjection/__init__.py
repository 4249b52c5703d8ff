"""The way back to Postfix."""
