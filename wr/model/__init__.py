"""Pure data and rules of the waiting room: no I/O and no clock; functions take the time as an argument."""
