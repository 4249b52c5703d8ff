"""A message in pieces: what a part is, what reading it may cost, and what is found in it. No Twisted."""
