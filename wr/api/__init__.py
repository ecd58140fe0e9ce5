"""The API: route table, request checks, errors and OpenAPI, and one package for each subject."""
