"""Lists of items worth a look: doubtful labels, near-duplicates, what to label next."""
