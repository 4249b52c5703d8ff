"""What strangers have done: written to spamtraps, sent spam, sent good mail."""
