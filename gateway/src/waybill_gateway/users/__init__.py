"""Users: new users of the application."""
