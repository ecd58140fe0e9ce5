"""What is counted and timed while the server runs, and how Prometheus is told: knows nothing of the room."""
