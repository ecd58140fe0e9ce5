"""The saturation figures: each measured beside its reference, in one run, on one machine.

Known flattery and its opposite. Load generator, server and store share two processors, so absolute figures
are lower than those of a server that has a machine to itself: the ratios count. Requests come over a few
connections that stay open, from one client of the best manners. wrk's latency begins when a request is
sent, so one that had to wait in wrk looks quicker than it was. Few visitors who ask again and again would
find their tokens remembered by the server and their places in the processor's cache, so tens of thousands
take turns; the cost by length of the line is compared with 1,000 in each, and `cost.many` tells what more
of them cost. The store writes its log but never rewrites it. Memory is read as the system counts it; one
that takes pages from the idle makes it look smaller.
"""
