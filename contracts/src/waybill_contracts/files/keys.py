"""Where files are in the object store: the first parts of their keys."""

from typing import Final

#: First part of the key of each upload.
UPLOADS: Final = "files"


def uploads_of(tenant: str) -> str:
    """Prefix of the keys of all uploads of a tenant, and of no others.

    The tenant is part of the key, so that no tenant can name a file of another one by guessing its hash.
    """
    return f"{UPLOADS}/{tenant}"


def is_owned(key: str, tenant: str) -> bool:
    """Whether a task of the tenant may refer to it: an upload of its own, or the original of a picture."""
    return key.startswith((f"{uploads_of(tenant)}/", "originals/"))
