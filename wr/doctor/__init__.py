"""What `wr doctor` looks at: each check is a function that returns what it found and what to mend."""
