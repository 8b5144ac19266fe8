"""What it means: the rule language and the engine. Pure: no IO, no clock, no broker, no database."""
