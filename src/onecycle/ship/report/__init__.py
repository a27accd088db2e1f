"""Reports of training runs: one HTML file, and the files beside it."""
