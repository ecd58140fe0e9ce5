"""Rehearsal: simulated visitors go through a sale over HTTP; checks tell whether the server kept its promises."""
