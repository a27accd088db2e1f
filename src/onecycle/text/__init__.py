"""Texts: where they are, how they become tokens and batches, and the models that read them."""
