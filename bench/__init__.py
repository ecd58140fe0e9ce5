"""Benchmarks: each starts what it measures on loopback, and doubts its own figures."""
