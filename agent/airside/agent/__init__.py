"""The outbound-only worker on the user's side. Not built yet; `agent/README.md` says what it will hold."""
