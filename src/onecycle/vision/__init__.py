"""Images: finding, decoding, augmenting and drawing them, and the models and learners that use them."""
