"""The learner: an open training loop, the learning-rate finder, one-cycle, and what is kept and measured."""
