"""Models on the Hugging Face hub: pushed with a card, and loaded without running code from there."""
