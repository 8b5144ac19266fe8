"""One id for one table or file, whoever speaks of it: OpenLineage, dbt, a person.

A table is `table://<db>/<schema>/<table>` in lower case. The server it lives on is left out on purpose: dbt's
artifacts do not know it, and a rule about a table must hold whichever tool wrote the table. Files and objects
keep their own URI: `s3://bucket/key`.
"""

import re
from hashlib import sha256
from typing import Final
from urllib.parse import quote, unquote

_FILES: Final = frozenset({"abfs", "abfss", "adl", "cos", "dbfs", "file", "gs", "hdfs", "oss", "s3", "wasb", "wasbs"})
_ALIASES: Final = {"gcs": "gs", "s3a": "s3", "s3n": "s3"}
#: Databases, and of how many parts a table's name in a URI is: `postgres://host:5432/shop/public/orders` is of three.
_DATABASES: Final = {
    **dict.fromkeys(
        ("duckdb", "mssql", "oracle", "postgres", "postgresql", "redshift", "snowflake", "sqlserver", "trino"), 3
    ),
    **dict.fromkeys(("clickhouse", "hive", "mariadb", "mysql"), 2),
}
# Names with dots in them that are no tables.
_STREAMS: Final = frozenset(
    {"amqp", "ftp", "http", "https", "kafka", "kinesis", "mqtt", "nats", "pubsub", "pulsar", "sftp", "sqs"}
)
# One part of a relation's name: "quoted", `quoted`, [quoted] or bare; a doubled quote stands for itself.
_PART = re.compile(r'"((?:[^"]|"")*)"|`((?:[^`]|``)*)`|\[([^\]]*)\]|([^."`\[\]]+)')
_TABLE_PARTS: Final = (2, 3)


def dataset_id(namespace: str, name: str) -> str:
    """Give the resource id of a dataset that a tool calls by namespace and name, as OpenLineage does."""
    scheme, separator, rest = namespace.partition("://")
    scheme = _ALIASES.get(scheme.lower(), scheme.lower())
    if scheme in _FILES:
        return safe(f"{scheme}://{rest.rstrip('/')}/{name.lstrip('/')}")
    table = None if scheme in _STREAMS else table_id(name)
    if table is not None:
        return table
    if separator:
        return safe(f"{scheme}://{rest.rstrip('/')}/{name.lstrip('/')}")
    return f"dataset://{segment(namespace)}/{safe(name)}"


def uri_id(uri: str) -> str | None:
    """Give the resource id of a dataset that a tool calls by one URI, as Airflow does its assets; None for a bare name.

    A table's URI has host, database, schema and table, as far as the database knows schemas; with BigQuery project,
    dataset and table.
    """
    scheme, separator, rest = uri.partition("://")
    scheme = _ALIASES.get(scheme.lower(), scheme.lower())
    if not separator or not scheme or not rest:
        return None
    if scheme == "bigquery":
        parts, wanted = rest.split("/"), 3
    else:
        parts, wanted = rest.split("/")[1:], _DATABASES.get(scheme, 0)
    if wanted and len(parts) == wanted and all(parts):
        return "table://" + "/".join(segment(unquote(part).lower()) for part in parts)
    return safe(f"{scheme}://{rest}")


def table_id(relation: str) -> str | None:
    """Give the resource id of `db.schema.table` or `schema.table`, quoted or not; None for anything else."""
    parts = relation_parts(relation)
    if len(parts) not in _TABLE_PARTS:
        return None
    return "table://" + "/".join(segment(part.lower()) for part in parts)


def segment(text: str) -> str:
    """Write any text as one part of a URI: what is not a letter, digit or `-._~` becomes %XX."""
    return quote(text, safe="", errors="replace")


def safe(text: str) -> str:
    """Write any text as the path of a URI: slashes stay, spaces, wildcards and control characters become %XX."""
    return quote(text, safe="/:@=,+~%&;()'!$#[]", errors="replace")


def bounded(identifier: str, max_chars: int) -> str:
    """Shorten an id that is too long, so that different ids stay different."""
    if len(identifier) <= max_chars:
        return identifier
    return f"{identifier[: max_chars - 17]}~{digest(identifier)[:16]}"


def digest(*parts: str) -> str:
    """Hash texts to 40 hexadecimal digits; where one part ends and the next begins matters."""
    return sha256("".join(f"{len(part)}:{part}" for part in parts).encode(errors="replace")).hexdigest()[:40]


def relation_parts(relation: str) -> list[str]:
    """Split `db.schema.table`, quoted or not, into its names; [] for what is no such name."""
    parts: list[str] = []
    position = 0
    while match := _PART.match(relation, position):
        double, backtick, bracket, bare = match.groups()
        if double is not None:
            parts.append(double.replace('""', '"'))
        elif backtick is not None:
            parts.append(backtick.replace("``", "`"))
        else:
            parts.append(bracket if bracket is not None else bare.strip())
        position = match.end()
        if position == len(relation):
            return [] if any(not part or "/" in part for part in parts) else parts
        if relation[position] != ".":
            return []
        position += 1
    return []
