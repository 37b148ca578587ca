"""Where files are in the object store: the first parts of their keys."""

from typing import Final

#: First part of the key of each upload.
UPLOADS: Final = "files"
#: First part of the key of each file that an attempt wrote.
RESULTS: Final = "results"


def uploads_of(tenant: str) -> str:
    """Prefix of the keys of all uploads of a tenant, and of no others.

    The tenant is part of the key, so that no tenant can name a file of another one by guessing its hash.
    """
    return f"{UPLOADS}/{tenant}"


def is_owned(key: str, tenant: str) -> bool:
    """Whether the key is that of an upload of the tenant."""
    return key.startswith(f"{uploads_of(tenant)}/")


def results_of(task_id: str) -> str:
    """Prefix of the keys of all files that attempts of a task wrote, and of no others."""
    return f"{RESULTS}/{task_id}"


def is_of_results(key: str) -> bool:
    """Whether the key is the prefix of a task's files, and not the key of one file."""
    return key.startswith(f"{RESULTS}/")
