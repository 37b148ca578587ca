"""The gateway as an application: routes, middleware, lifespan."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cached_property, partial

from fastapi import APIRouter, FastAPI
from fastapi_swagger import patch_fastapi
from starlette.types import ASGIApp, Receive, Scope, Send

from waybill_gateway.auth import GuardedRoute, UndeclaredRouteError
from waybill_gateway.components import GatewayComponents
from waybill_gateway.desk import audit_routes as audit
from waybill_gateway.desk import group_routes as dead_letter_groups
from waybill_gateway.desk import letter_routes as dead_letters
from waybill_gateway.desk import redrive_routes as redrives
from waybill_gateway.desk import waiting_routes as contracts_waiting
from waybill_gateway.docs import describe_problems
from waybill_gateway.emails import routes as emails
from waybill_gateway.files import result_routes as task_files
from waybill_gateway.files import routes as files
from waybill_gateway.health import entrance
from waybill_gateway.health import routes as health
from waybill_gateway.http import (
    BodyLimit,
    GatewayMetrics,
    HeadRequests,
    MeasureRequests,
    TraceRequests,
    Upload,
    install_problems,
)
from waybill_gateway.images import routes as images
from waybill_gateway.keys import routes as keys
from waybill_gateway.password_resets import routes as password_resets
from waybill_gateway.persons import routes as persons
from waybill_gateway.registry import kind_routes as kinds
from waybill_gateway.registry import service_routes as services
from waybill_gateway.registry import target_routes as targets
from waybill_gateway.reveals import routes as reveals
from waybill_gateway.schedules import routes as schedules
from waybill_gateway.schedules import run_routes as schedule_runs
from waybill_gateway.settings import GatewaySettings
from waybill_gateway.stats import routes as stats
from waybill_gateway.syncs import routes as syncs
from waybill_gateway.tasks import PlainPosts, post_routes
from waybill_gateway.tasks import accounting_routes as accounting
from waybill_gateway.tasks import cancellation_routes as cancellations
from waybill_gateway.tasks import pruning_routes as prunings
from waybill_gateway.tasks import routes as tasks
from waybill_gateway.tasks import submission_routes as submissions
from waybill_gateway.ui import PAGES
from waybill_gateway.users import routes as users
from waybill_gateway.watching import LinkOrigins
from waybill_gateway.watching import event_routes as events
from waybill_gateway.watching import link_routes as links
from waybill_gateway.watching import page_routes as link_pages
from waybill_ledger import SchemaError
from waybill_worker.observe import is_tracing, make_registry
from waybill_worker.runtime import WRONG_SETTING, configuring

#: In the order in which /docs shows them.
_ROUTES = (
    emails,
    password_resets,
    files,
    images,
    users,
    syncs,
    schedules,
    schedule_runs,
    submissions,
    tasks,
    events,
    links,
    link_pages,
    task_files,
    cancellations,
    accounting,
    stats,
    prunings,
    persons,
    # Groups first: otherwise their paths would match the path of a letter.
    dead_letter_groups,
    dead_letters,
    redrives,
    reveals,
    audit,
    contracts_waiting,
    kinds,
    # Its path would match that of a service.
    targets,
    services,
    keys,
    entrance,
    health,
    *PAGES,
)


class GatewayApp(FastAPI):
    """The gateway as an ASGI application."""

    def put_before(self, middleware: Callable[[ASGIApp], ASGIApp]) -> None:
        """Puts a middleware before all others, also before the one that answers errors."""
        self._entered = middleware(self._entered)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        await self._entered(scope, receive, send)

    @cached_property
    def _entered(self) -> ASGIApp:
        return super().__call__


def create_app(settings: GatewaySettings) -> GatewayApp:
    """The gateway as an ASGI application; its resources live from startup to shutdown."""
    registry = make_registry()
    metrics = GatewayMetrics(registry)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_components(app) as components:
            await start_components(components)
            yield

    app = GatewayApp(
        lifespan=lifespan,
        # FastAPI would check on each request whether OpenTelemetry is configured; Waybill has its own spans.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        # FastAPI's own pages load their scripts from elsewhere: blank where there is no internet.
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        # A redirect would lead to the host that the caller's own Host header names.
        redirect_slashes=False,
    )
    app.state.settings, app.state.registry, app.state.metrics = settings, registry, metrics
    patch_fastapi(app, redirect_from_root_to_docs=False)
    document = describe_problems(app)
    install_problems(app)
    app.add_middleware(
        BodyLimit,
        max_body_bytes=settings.max_body_bytes,
        uploads={
            "/v1/files": Upload(settings.max_file_bytes),
            "/v1/images": Upload(settings.max_upload_bytes, is_form=True),
        },
    )
    for module in _ROUTES:
        _require_guarded(module.router)
        # Themselves, where `include_router` would make each again: that takes as long as many requests, and
        # the application would look for a route in two places.
        app.router.routes.extend(module.router.routes)
    # Before FastAPI's own, which knows no kinds.
    app.router.routes.insert(0, document.route())
    app.router.routes.insert(0, HeadRequests(app.router))
    posts = post_routes(route for module in _ROUTES for route in module.router.routes)
    app.router.routes[:0] = posts
    app.put_before(partial(PlainPosts, app=app, routes=posts, max_body_bytes=settings.max_body_bytes))
    if settings.watch_origins:
        app.put_before(partial(LinkOrigins, origins=settings.watch_origins))
    app.put_before(partial(MeasureRequests, metrics=metrics))
    if is_tracing():
        app.put_before(TraceRequests)
    return app


@asynccontextmanager
async def open_components(app: FastAPI) -> AsyncIterator[GatewayComponents]:
    """The parts that `app` works with, not yet started."""
    with configuring(*WRONG_SETTING):
        components = GatewayComponents(app.state)
    try:
        yield components
    finally:
        await components.stop()


async def start_components(components: GatewayComponents) -> None:
    """Starts the parts; waits for a ledger that is away.

    Raises:
        MisconfiguredError: the ledger's schema is not this release's.
    """
    with configuring(SchemaError):
        await components.start()


def _require_guarded(router: APIRouter) -> None:
    for route in router.routes:
        if not isinstance(route, GuardedRoute):
            raise UndeclaredRouteError(f"{route} lets in every caller: make it a GuardedRoute")
