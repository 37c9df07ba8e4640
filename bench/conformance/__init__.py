"""The contract of every kind of part, as checks."""
