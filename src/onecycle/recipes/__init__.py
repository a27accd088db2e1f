"""Recipes: look at the user's files, choose what suits them, print the code for it, and run that code."""
