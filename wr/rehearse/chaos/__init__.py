"""Faults during a rehearsal: its own servers and store, killed and frozen mid-sale; the same judgement."""
