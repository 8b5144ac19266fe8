"""The server: views, trigger engine, actions, API."""
