"""Measures the saturation figures, each next to its reference, in one run on one machine.

Known bias: load generator, server and store share two processors, so absolute figures
are lower than those of a server on its own machine; the ratios count. Requests come over a few
connections that stay open, from one well-behaved client. wrk measures latency from when a request is
sent, so a request that had to wait in wrk looks faster than it was. A few visitors with many requests would
find their tokens remembered by the server and their places in the processor's cache, so tens of thousands
take turns; the cost by queue length is compared with 1,000 in each, and `cost.many` shows what more
of them cost. The store writes its log but never rewrites it. Memory is read as the system counts it; a system
that takes pages from idle processes makes it look smaller.
"""
