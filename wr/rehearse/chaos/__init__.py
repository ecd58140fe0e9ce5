"""Rehearsals with faults: kills and freezes servers and a store of its own, and makes the same checks."""
