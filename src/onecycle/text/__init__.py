"""Texts: finding and tokenizing them, and the models that read them."""
