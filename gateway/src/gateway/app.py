"""The gateway, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from gateway.body_limit import BodyLimit
from gateway.problems import install_problems
from gateway.resources import Resources
from gateway.routes import emails, health, images, password_resets, syncs, tasks, users
from gateway.settings import GatewaySettings

DESCRIPTION = """\
Background work for web applications. Post a task and get an answer at once; every task that was answered with
202 ends in exactly one recorded outcome, and until then you can see where it is and why.
"""


def create_app(settings: GatewaySettings) -> FastAPI:
    """The gateway as an ASGI application; its resources live from startup to shutdown."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        resources = Resources(settings)
        app.state.resources = resources
        resources.start()
        try:
            yield
        finally:
            await resources.stop()

    app = FastAPI(title="Waybill", version="1", description=DESCRIPTION, lifespan=lifespan)
    install_problems(app)
    app.add_middleware(
        BodyLimit,
        max_body_bytes=settings.max_body_bytes,
        upload_path="/v1/images",
        max_upload_bytes=settings.max_upload_bytes,
    )
    for module in (emails, password_resets, images, users, syncs, tasks, health):
        app.include_router(module.router)
    return app
