"""The checks of `wr doctor`: each is a function that returns what it found and how to fix it."""
