"""From files to loaders: where are the inputs, how to split, how to label? Nothing here is specific to one modality."""
