"""What people see: the waiting page, the admin console, the API reference, and what they are made of."""
