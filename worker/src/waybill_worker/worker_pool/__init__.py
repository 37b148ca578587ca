"""Processes that run one function at a time within limits of the kernel, and that import little else."""

from waybill_worker.worker_pool.pool import WorkerPool, WorkerPoolOptions, usable_cores
from waybill_worker.worker_pool.process import WorkerDied, WorkerLimits, WorkerSpent, ask_owner

__all__ = [
    "WorkerDied",
    "WorkerLimits",
    "WorkerPool",
    "WorkerPoolOptions",
    "WorkerSpent",
    "ask_owner",
    "usable_cores",
]
