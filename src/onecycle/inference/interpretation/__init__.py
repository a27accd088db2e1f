"""What a model gets right and wrong: tables and figures of one pass over the items of a split."""
