"""PDF documents (ISO 32000): opened by qpdf, with what it does not look at read beside it."""
