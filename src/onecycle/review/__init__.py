"""What people said about a model's predictions, kept so that the model can learn from it."""
