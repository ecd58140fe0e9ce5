"""Bytes that no client would send, by the thousand, and a watch on what a server makes of them."""
