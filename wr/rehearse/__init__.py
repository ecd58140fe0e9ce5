"""Rehearsal: a whole sale, played over HTTP against a running server and judged from outside."""
