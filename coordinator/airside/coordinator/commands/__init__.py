"""Commands that the server adds to `airside`. Each module is quick to import; what it runs is not."""
