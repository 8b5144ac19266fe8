"""Two tasks that count together: the second fails, so what the first did is undone."""

from pathlib import Path
from tempfile import gettempdir

from airside.sdk import flow, task, transaction
from airside.sdk.flows.transactions import Done, Transaction

FILE = Path(gettempdir()) / "airside-example.csv"


@task
def write(path: Path) -> Path:
    path.write_text("rows")
    return path


@write.on_rollback
def remove(txn: Transaction, done: Done) -> None:
    done.value.unlink()
    print("removed again")


@task
def check(path: Path) -> None:
    raise ValueError("too few rows")


@flow
def export() -> None:
    with transaction():
        check(write(FILE))


if __name__ == "__main__":
    state = export.run()
    print(state.kind, "-", state.message)
    print("file exists:", FILE.exists())
