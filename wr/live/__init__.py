"""Live streams: who holds one open, and what each is to be told. Knows no transport."""
