"""Pure data and rules of the waiting room: no I/O, no clock of its own (time comes in as an argument)."""
