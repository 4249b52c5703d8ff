"""Learning by command: mail files are read in confined workers, and what is seen in them goes to policyd."""
