"""Suite files, and the trials they mean."""
