"""From a pile of files to loaders: where are the inputs, how to split, how to label. Knows no images, no text."""
