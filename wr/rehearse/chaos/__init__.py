"""Faults during a rehearsal: servers and a store of its own, killed and frozen mid-sale, and the same judgement."""
