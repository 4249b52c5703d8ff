"""URLs in mail: how they are found, what they mean to a browser, and what is odd about them. Pure."""
