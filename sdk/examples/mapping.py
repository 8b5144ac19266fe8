"""500 items on eight threads: each is a run of its own."""

from airside.sdk import ThreadRunner, flow, task, unmapped


@task
def convert(amount: int, rate: float) -> float:
    return amount * rate


@task
def total(amounts: list[float]) -> float:
    return sum(amounts)


@flow(task_runner=ThreadRunner(8))
def sales() -> float:
    converted = convert.map(range(500), unmapped(0.5))
    return total.submit(converted).result()


if __name__ == "__main__":
    print(sales())
