# The web page, in front of the servers: docker build -f dockerfiles/frontend.dockerfile . (docs/images.md)
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS dependencies
ENV UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1 UV_NO_CONFIG=1 UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=/opt/boatyard
COPY requirements/build.txt requirements/frontend.txt /requirements/
RUN pip install --no-cache-dir --root-user-action=ignore --require-hashes -r /requirements/build.txt
RUN uv venv "$VIRTUAL_ENV" && uv pip install --require-hashes -r /requirements/frontend.txt \
    && find "$VIRTUAL_ENV" -type d -name tests -prune -exec rm -r {} +

FROM dependencies AS package
WORKDIR /checkout
COPY pyproject.toml README.md LICENSE ./
COPY configs configs
COPY src src
RUN python -m hatchling build -t wheel -d /dist && uv pip install --no-deps --target /app/src /dist/*.whl

FROM ${BASE_IMAGE}
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin boatyard
COPY --from=dependencies /opt/boatyard /opt/boatyard
COPY --from=package /app /app
# variables such as BOATYARD_API say where the servers answer; the welcome would ask the internet for its own address
ENV PATH=/opt/boatyard/bin:$PATH PYTHONPATH=/app/src PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    BOATYARD_HOST=0.0.0.0 PORT=8501 STREAMLIT_LOGGER_HIDE_WELCOME_MESSAGE=true
WORKDIR /app
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["python", "-I", "-c", \
    "import os, http.client as h; c = h.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=2); \
c.request('GET', '/_stcore/health'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["python", "-m", "boatyard.frontend"]
# last, since every commit changes them
ARG COMMIT=""
ARG VERSION=""
LABEL org.opencontainers.image.title="boatyard-frontend" org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.revision="${COMMIT}" org.opencontainers.image.version="${VERSION}"
