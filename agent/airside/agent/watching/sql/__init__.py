"""Tables that change: a number of rows, a largest value, asked by SQL that only reads.

target   which table, and what to ask of it, read from the URL
asking   one question to a database: DuckDB by itself, all others by SQLAlchemy
watcher  what changed since the last answer, and whether the rows are as many as expected
"""
