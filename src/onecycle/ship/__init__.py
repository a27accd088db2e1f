"""What leaves the training machine: models to use, and reports to read."""
