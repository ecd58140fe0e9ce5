"""Metrics of the process: instruments, what each subject counts, and how Prometheus reads them."""
