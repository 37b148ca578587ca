"""The core of an installation, for tests: broker, ledger, gateway and status service."""

from waybill_testkit.core.running import Core, CoreError, running_core

__all__ = ["Core", "CoreError", "running_core"]
