"""A virtual waiting room: holds a crowd in front of a site and lets people in at a rate it can bear."""

from importlib.metadata import version

__version__ = version("wr")
