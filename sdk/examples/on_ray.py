"""500 items on Ray: a cluster by its address, or one of this machine."""

from airside.sdk import RayRunner, flow, task


@task
def divisors(number: int) -> int:
    return sum(1 for n in range(1, number + 1) if number % n == 0)


@flow(task_runner=RayRunner(num_cpus=2))
def count_primes(most: int) -> int:
    return sum(found == 2 for found in divisors.map(range(1, most + 1)).result())


if __name__ == "__main__":
    print(count_primes(500))
