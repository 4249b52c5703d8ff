"""The registry as Postfix's lookup tables (socketmap_table(5))."""
