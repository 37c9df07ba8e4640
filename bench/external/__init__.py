"""What comes from outside: weights, downloads, archives."""
