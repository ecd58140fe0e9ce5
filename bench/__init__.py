"""Benchmarks: each starts the servers that it measures on loopback, and checks its own figures."""
