"""What the gateway answers about files."""

from waybill.answers.base import Answered


class FileLinks(Answered):
    """Paths of the gateway about a file."""

    self: str


class TaskFile(Answered):
    """A file that a service has made for a task.

        for file in client.files(task.id):
            client.download(task.id, file.name, Path(file.name))

    It is kept as long as the task.
    """

    name: str
    service: str
    size_bytes: int
    #: Of its content, in hexadecimal.
    sha256: str
    content_type: str
    links: FileLinks


class TaskFiles(Answered):
    """The files of a task, by service and name."""

    items: list[TaskFile]


class RedeemedPasswordReset(Answered):
    """The person whose password may be set now, and the task that mailed the link.

    person = client.redeem_password_reset(token).email
    """

    email: str
    task_id: str
