"""Two processes share a limit of one: run this file twice at the same time, after `airside limits set warehouse 1`."""

import os
import time

from airside.sdk import concurrency, emit, flow, task


@task
def load(part: int) -> None:
    with concurrency("warehouse"):
        began = time.time()
        time.sleep(0.2)
        emit("part.loaded", f"part://{os.getpid()}/{part}", payload={"began": began, "ended": time.time()})


@flow
def load_all() -> None:
    load.map(range(3)).result()


if __name__ == "__main__":
    load_all()
