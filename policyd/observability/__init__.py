"""What is left of a decision: a log line, the counters, and a row for whoever records."""
