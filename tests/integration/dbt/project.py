"""A small dbt project on DuckDB with one of everything that goes well and wrong."""

import textwrap
from pathlib import Path
from typing import Final

FILES: Final = {
    "dbt_project.yml": """
        name: shop
        version: "1.0"
        profile: shop
        model-paths: [models]
        seed-paths: [seeds]
        snapshot-paths: [snapshots]
        flags: {send_anonymous_usage_stats: false}
        """,
    "profiles.yml": """
        shop:
          target: dev
          outputs:
            dev: {type: duckdb, path: shop.duckdb, threads: 2}
        """,
    "seeds/raw_orders.csv": """
        id,customer,amount,ordered_at
        1,ada,10,2026-11-20 08:00:00
        2,bob,,2026-11-21 08:00:00
        3,ada,30,2026-11-22 08:00:00
        """,
    "models/orders.sql": """
        {{ config(materialized='table', meta={'owner': 'finance'}, tags=['nightly']) }}
        select * from {{ ref('raw_orders') }}
        """,
    "models/customers.sql": """
        {{ config(materialized='table') }}
        select customer, sum(amount) as spent from {{ ref('orders') }} group by 1
        """,
    "models/broken.sql": """
        {{ config(materialized='table') }}
        select no_such_column from {{ ref('orders') }}
        """,
    "models/after_broken.sql": """
        select * from {{ ref('broken') }}
        """,
    # A gate: this model waits until the file that DBT_GATE names exists, so that a test can act in the middle.
    "models/gated.py": """
        import os, pathlib, time

        def model(dbt, session):
            dbt.config(materialized="table")
            orders = dbt.ref("orders")
            gate = os.environ.get("DBT_GATE")
            while gate and not pathlib.Path(gate).exists():
                time.sleep(0.05)
            return orders
        """,
    "models/schema.yml": """
        models:
          - name: orders
            columns:
              - name: id
                data_tests: [unique]
          - name: customers
            columns:
              - name: spent
                data_tests: [not_null]
        sources:
          - name: shop_raw
            schema: main
            tables:
              - name: raw_orders
                config:
                  loaded_at_field: ordered_at
                  freshness: {warn_after: {count: 1, period: minute}}
              - name: not_there
                config:
                  loaded_at_field: ordered_at
                  freshness: {warn_after: {count: 1, period: hour}}
        exposures:
          - name: board
            type: dashboard
            owner: {email: board@example.com}
            depends_on: [ref('customers')]
        """,
    "snapshots/orders_snapshot.yml": """
        snapshots:
          - name: orders_snapshot
            relation: ref('orders')
            config: {unique_key: id, strategy: check, check_cols: all}
        """,
}


def write(folder: Path) -> Path:
    """Write the project into a new folder; gives it."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return folder
