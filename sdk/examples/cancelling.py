"""A task hangs. Somebody ends the run, and the task is interrupted where it is:

airside runs cancel RUN --reason "wrong day"
"""

import time

from airside.sdk import flow, runtime, task


@task
def wait_for_a_file() -> None:
    try:
        time.sleep(86_400)
    finally:
        print("closed what was open")


@flow
def nightly() -> None:
    print("run", runtime.flow_run.id, flush=True)
    wait_for_a_file()


if __name__ == "__main__":
    state = nightly.run()
    print(state.kind, "-", state.message)
