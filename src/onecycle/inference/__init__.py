"""The one way from inputs to predictions: validation, prediction and exported models share it."""
