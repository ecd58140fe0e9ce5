"""The API: one route table, request checks, errors, OpenAPI; below it one package for each subject."""
