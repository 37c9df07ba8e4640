"""Scores of given weights."""
