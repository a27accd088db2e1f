"""A model in use: a page and an API, where its predictions are judged."""
