"""Images: how they are found, decoded, augmented, shown, and the backbones that read them."""
