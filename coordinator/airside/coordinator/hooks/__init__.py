"""Webhooks in: who sent a delivery (`signatures`), what it says (`mapping`, `presets`), and what is known (`store`)."""
