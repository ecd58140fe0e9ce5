"""HTTP clients of a running server, for commands, checks and rehearsals."""
