"""Waybill as a backend of Django's tasks framework (DEP 14).

TASKS = {"default": {"BACKEND": "waybill.django.WaybillBackend"}}

It needs `pip install waybill[django]`; `waybill.django.worker` has the services that run the tasks.
"""

from waybill.django.backend import WaybillBackend

__all__ = ["WaybillBackend"]
