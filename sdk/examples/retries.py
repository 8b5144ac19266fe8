"""A task that is tried again: after 0.1, 0.2, 0.4 … seconds, and only for errors that may pass."""

from airside.sdk import exponential, flow, runtime, task


@task(
    retries=3,
    retry_delay=exponential(0.1),
    retry_jitter=0.5,
    retry_if=lambda error: isinstance(error, ConnectionError),
    timeout=30,
)
def fetch(url: str) -> str:
    attempt = runtime.task_run.attempt or 1
    if attempt < 3:
        raise ConnectionError(f"{url} does not answer")
    return f"attempt {attempt} fetched {url}"


@flow
def download() -> str:
    return fetch("https://example.org/orders.csv")


if __name__ == "__main__":
    print(download())
