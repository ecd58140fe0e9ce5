"""Recovery: what a server remembers of what it has acknowledged, and how a store that forgot is told again."""
