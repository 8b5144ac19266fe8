"""Run it twice: the second process takes the result of the first."""

from datetime import timedelta

from airside.sdk import INPUTS, SOURCE, flow, task


@task(cache_policy=INPUTS + SOURCE, cache_for=timedelta(hours=1))
def report(day: str) -> str:
    print("computing")
    return f"report of {day}"


@flow
def daily(day: str = "2026-11-22") -> str:
    return report(day)


if __name__ == "__main__":
    print(daily())
