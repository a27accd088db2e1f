"""The page on which people go through their own data."""
