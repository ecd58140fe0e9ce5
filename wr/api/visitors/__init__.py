"""The API of visitors: places in line, sessions, and live streams."""
