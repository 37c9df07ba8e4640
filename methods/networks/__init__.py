"""Networks that several papers, or tasks, share."""
