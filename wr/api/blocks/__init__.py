"""The API with which operators block visitors."""
