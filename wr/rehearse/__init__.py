"""Rehearsal: simulated visitors go through a whole sale over HTTP; checks compare what they saw with the
promises."""
