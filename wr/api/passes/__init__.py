"""The API with which operators issue and revoke passes."""
