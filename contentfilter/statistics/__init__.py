"""Statistics in the scan workers: what is seen in a mail, and what the model says of it. Pure."""
