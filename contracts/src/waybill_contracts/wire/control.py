"""Control messages, which every service receives."""

from pydantic import AwareDatetime, BaseModel, ConfigDict


class CancelRequested(BaseModel):
    """Request to cancel a task; each service decides whether its own subtask can still be cancelled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_id: str
    requested_at: AwareDatetime
