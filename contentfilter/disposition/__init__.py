"""From what was found to what happens with a mail, for each of its recipients, and in which words."""
