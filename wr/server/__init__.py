"""The server as a process: settings, start and stop in order, and what is made of what."""
