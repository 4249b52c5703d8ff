"""All that policyd remembers."""
