"""What the shared services have in common: every call needs an assertion, and every error is problem JSON."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.demo.assertions import AssertionRefusedError, AssertionVerifier, Resident
from gateway.demo.peer import http_client
from gateway.demo.site import Handler, json_answer, problem

LARGEST_BODY = 16 * 1024

Action = Callable[[web.Request, Resident], Awaitable[web.Response]]


class ServiceProblem(Exception):  # noqa: N818 - an answer, not a fault
    """A call that is answered with a problem."""

    def __init__(self, status: int, code: str, title: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.title = title


def application(verifier: AssertionVerifier, actions: list[tuple[str, str, Action]]) -> web.Application:
    """An application of (method, path, action); without an acceptable assertion no action is reached."""

    def guarded(action: Action) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                return await action(request, await verifier.resident(request))
            except AssertionRefusedError as refused:
                return problem(401, "assertion-refused", f"The identity assertion was refused: {refused}")
            except ServiceProblem as answer:
                return problem(answer.status, answer.code, answer.title)

        return handle

    app = web.Application(middlewares=[_problems], client_max_size=LARGEST_BODY)
    app.add_routes([web.route(method, path, guarded(action)) for method, path, action in actions])
    app.add_routes([web.get("/healthz", _healthy)])
    app.cleanup_ctx.append(http_client)
    return app


async def json_body(request: web.Request) -> dict[str, object]:
    """The JSON object that was sent. Raises `ServiceProblem`."""
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ServiceProblem(400, "not-json", "A JSON object is expected.")
    return body


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return problem(error.status, "http", error.reason)


async def _healthy(_request: web.Request) -> web.Response:
    return json_answer({"status": "ok"})
