"""Recovery: restores to the store what it lost, from what the servers remember of their acknowledgements."""
