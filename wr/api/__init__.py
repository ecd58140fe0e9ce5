"""The wire: one route table from which routing, validation, limits, authentication and OpenAPI all come."""
