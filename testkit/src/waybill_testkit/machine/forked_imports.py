"""What the server of `forked` imports, once, before it forks."""

import gc
from importlib import import_module

# Nothing that imports make is garbage. Each fork enables it for itself.
gc.disable()
for _module in ("waybill_testkit.gateway.in_process", "waybill_gateway.process", "waybill_worker.service"):
    import_module(_module)
gc.freeze()
