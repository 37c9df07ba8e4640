"""Intervals, paired tests, what holds across workloads."""
