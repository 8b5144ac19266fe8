"""What users import, and the `airside` command."""
