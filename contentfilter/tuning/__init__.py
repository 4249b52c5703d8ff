"""What thresholds and points do on a postmaster's own mail: two folders, one of ham and one of spam."""
