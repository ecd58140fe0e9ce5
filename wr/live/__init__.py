"""Live streams: which are open, and which update each visitor gets next. Independent of the transport."""
