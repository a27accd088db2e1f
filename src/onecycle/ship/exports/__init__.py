"""Files for other runtimes, each of which predicts as the learner does: that is proved before it is written."""
