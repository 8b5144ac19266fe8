"""Flows call flows: each is a run of its own, with the caller as its parent."""

from airside.sdk import flow, runtime, task


@task
def load(table: str) -> int:
    return len(table)


@flow
def warehouse(tables: list[str]) -> int:
    print("part of another run:", runtime.flow_run.parent_id is not None)
    return sum(load.map(tables).result())


@flow
def nightly() -> int:
    return warehouse(["orders", "sales"]) + warehouse(["customers"])


if __name__ == "__main__":
    print(nightly())
