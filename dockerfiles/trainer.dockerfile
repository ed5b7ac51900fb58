# Every stage from rows to a published model: docker build -f dockerfiles/trainer.dockerfile . (docs/images.md)
ARG BASE_IMAGE=python:3.12-slim
# or an image that the stage `installed` was pushed as
ARG INSTALLED=installed

FROM ${BASE_IMAGE} AS build
ENV UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1 UV_NO_CONFIG=1 UV_PYTHON_DOWNLOADS=never
COPY requirements/build.txt /requirements/
RUN pip install --no-cache-dir --root-user-action=ignore --require-hashes -r /requirements/build.txt

FROM build AS dependencies
ENV VIRTUAL_ENV=/opt/boatyard
COPY requirements/trainer.txt /requirements/
RUN uv venv "$VIRTUAL_ENV" && uv pip install --require-hashes -r /requirements/trainer.txt

FROM build AS package
WORKDIR /checkout
COPY pyproject.toml README.md LICENSE ./
COPY configs configs
COPY src src
RUN python -m hatchling build -t wheel -d /dist && uv pip install --system --no-deps --target /app/src /dist/*.whl

# gigabytes of CUDA: layers that only other requirements change
FROM ${BASE_IMAGE} AS installed
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin boatyard \
    && install --directory --owner=10001 --group=10001 /work
COPY --from=dependencies /opt/boatyard /opt/boatyard

FROM ${INSTALLED}
COPY --from=package /app /app
# as in the repository: what is bundled lies where it is looked for
# part: text
COPY encoders /app/encoders
# part end
COPY --chown=10001:10001 data /work/data
# a machine with GPUs has its driver mounted there, where only NVIDIA's own base images look
ENV PATH=/opt/boatyard/bin:/usr/local/nvidia/bin:$PATH LD_LIBRARY_PATH=/usr/local/nvidia/lib64:/usr/local/nvidia/lib
ENV PYTHONPATH=/app/src PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# where data/, runs/, reports/ and models/ lie; a volume, so that it can be written on a read-only file system
WORKDIR /work
VOLUME /work
USER 10001:10001
# a job: its exit status is its health
HEALTHCHECK NONE
ENTRYPOINT ["python", "-m", "boatyard.train.launch"]
# last, since every commit changes them
ARG COMMIT=""
ARG VERSION=""
ENV BOATYARD_COMMIT="${COMMIT}"
LABEL org.opencontainers.image.title="boatyard-trainer" org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.revision="${COMMIT}" org.opencontainers.image.version="${VERSION}"
