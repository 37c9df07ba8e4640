"""Training under a budget, its memory, its devices."""
