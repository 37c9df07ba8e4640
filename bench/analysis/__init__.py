"""What is measured of a method in training beside its scores."""
