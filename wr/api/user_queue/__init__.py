"""The second API: users who join, ask and subscribe by their number."""
