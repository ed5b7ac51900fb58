# Every stage from rows to a published model: docker build -f dockerfiles/trainer.dockerfile . (docs/images.md)
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CONFIG=1 UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=/opt/boatyard
WORKDIR /app
COPY requirements/build.txt requirements/trainer.txt requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --root-user-action=ignore --require-hashes -r requirements/build.txt
RUN --mount=type=cache,target=/root/.cache/uv \
    uv venv "$VIRTUAL_ENV" && uv pip install --require-hashes -r requirements/trainer.txt
COPY pyproject.toml README.md LICENSE ./
COPY configs configs
COPY encoders encoders
COPY src src
# a checkout, as on a laptop: the package finds configs/ and encoders/ beside src/
RUN python -m hatchling build -t wheel:editable -d /dist && uv pip install --no-cache --no-deps /dist/*.whl \
    && rm -r requirements && python -m compileall -q src

FROM ${BASE_IMAGE}
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin boatyard \
    && install --directory --owner=10001 --group=10001 /work
COPY --from=build /opt/boatyard /opt/boatyard
COPY --from=build /app /app
COPY --chown=10001:10001 data/raw/inbox.csv /work/data/raw/inbox.csv
ENV PATH=/opt/boatyard/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# where data/, runs/, reports/ and models/ lie; a volume, so that it can be written on a read-only file system
WORKDIR /work
VOLUME /work
USER 10001:10001
# a job: its exit status is its health
HEALTHCHECK NONE
ENTRYPOINT ["python", "-m", "boatyard.pipeline"]
# last, since every commit changes them
ARG COMMIT=""
ARG VERSION=""
ENV BOATYARD_COMMIT="${COMMIT}"
LABEL org.opencontainers.image.title="boatyard-trainer" org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.revision="${COMMIT}" org.opencontainers.image.version="${VERSION}"
