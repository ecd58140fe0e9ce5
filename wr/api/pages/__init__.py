"""Pages for people: the waiting page, the console, the documentation, and their files."""
