"""Recovery: what a server remembers of what it acknowledged, and how a store that forgot it is told again."""
