"""`/docs`: Swagger UI, whose scripts and styles this server sends itself: a browser may reach no other host."""

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

_FILES = "docs/files"  # relative, like every address on the page: a proxy may serve it all below a path


def add_documentation(app: FastAPI) -> None:
    """Add the page to an app that was made with `docs_url=None`."""

    def page(_: Request) -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title=app.title,
            swagger_js_url=f"{_FILES}/swagger-ui-bundle.js",
            swagger_css_url=f"{_FILES}/swagger-ui.css",
            swagger_favicon_url=f"{_FILES}/favicon.png",
        )

    app.add_route("/docs", page, include_in_schema=False)
    app.mount(f"/{_FILES}", StaticFiles(packages=[("fastapi_offline", "static")]))
