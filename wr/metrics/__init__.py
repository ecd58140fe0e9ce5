"""Metrics of the process: instruments, the counts of each subject, and their format for Prometheus."""
