"""The process ends, with exit code 75, until somebody answers:

    airside runs start RUN --here suspending.py:release --input approved=true

Then another process carries the run on. What `extract` gave was kept, so it does not run again.
"""

from pydantic import BaseModel

from airside.sdk import flow, runtime, suspend, task


class Approval(BaseModel):
    approved: bool
    comment: str = ""


@task(persist_result=True)
def extract() -> list[int]:
    print("extracting")
    return [1, 2, 3]


@flow
def release() -> str:
    rows = extract()
    print("run", runtime.flow_run.id)
    answer = suspend(for_input=Approval, message=f"release {len(rows)} rows?")
    said = "released" if answer.approved else "not released"
    print(said, len(rows), "rows")
    return said


if __name__ == "__main__":
    release()
