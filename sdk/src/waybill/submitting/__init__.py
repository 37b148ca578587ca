"""How the tasks of functions are submitted: with which options, and by which client."""

from waybill.submitting.clients import default_client, given_client, sync_client
from waybill.submitting.submitter import Submitter, TaskOptions

__all__ = ["Submitter", "TaskOptions", "default_client", "given_client", "sync_client"]
