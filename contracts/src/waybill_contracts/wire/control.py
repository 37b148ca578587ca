"""Control messages: what every service must hear, whatever its kinds."""

from pydantic import AwareDatetime, BaseModel, ConfigDict


class CancelRequested(BaseModel):
    """A task is to be called off; each service decides for its own subtask whether that is still possible."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_id: str
    requested_at: AwareDatetime
