"""A person decides. The flow waits until somebody says, from anywhere:

airside runs resume RUN --input approved=true --input rows=42
"""

from pydantic import BaseModel, Field

from airside.sdk import flow, pause, runtime, task


class Approval(BaseModel):
    approved: bool
    rows: int = Field(ge=1)


@task
def load(rows: int) -> str:
    return f"loaded {rows} rows"


@flow
def release() -> str:
    print("run", runtime.flow_run.id, flush=True)
    answer = pause(Approval, message="Load it?", timeout=3_600)
    return load(answer.rows) if answer.approved else "left as it was"


if __name__ == "__main__":
    print(release())
