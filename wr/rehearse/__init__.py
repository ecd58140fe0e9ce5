"""Rehearsal: simulated visitors go through a sale over HTTP; checks compare what they saw with the promises."""
