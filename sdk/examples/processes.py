"""500 items on processes: work that Python's threads cannot do side by side, and that may die."""

from airside.sdk import ProcessRunner, flow, task


@task
def divisors(number: int) -> int:
    return sum(1 for n in range(1, number + 1) if number % n == 0)


@flow(task_runner=ProcessRunner(workers=2))
def count_primes(most: int) -> int:
    return sum(found == 2 for found in divisors.map(range(1, most + 1)).result())


if __name__ == "__main__":  # each process imports this file
    print(count_primes(500))
