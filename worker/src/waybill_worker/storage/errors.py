"""Errors of the object store."""

from waybill_worker.errors import UnreachableError


class ObjectMissing(LookupError):  # noqa: N818 - it is a state of the store, and `except ObjectMissing` reads as one
    """The store has no file under this key."""


class StoreUnavailable(UnreachableError):  # noqa: N818 - named like its siblings
    """The store cannot be reached, or fails. The text of the error has no address."""


class StoreMisconfigured(StoreUnavailable):
    """The store refuses our credentials, or has no such bucket: people must correct that."""


class ObjectTooLarge(ValueError):  # noqa: N818 - named like its sibling
    """The file under this key is larger than the caller accepts."""
