"""The server process: settings, start-up, shutdown, and which objects it creates from which."""
