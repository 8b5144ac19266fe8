"""dbt: its commands run and read live, and artifacts sent afterwards. Nothing here imports dbt."""
