#!/bin/sh
# sh deploy/cloudbuild/image.sh NAME: builds $REGISTRY/NAME:$COMMIT and runs it once, hardened and without a network.
set -eu
name=$1
image=$REGISTRY/$name:$COMMIT
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
export DOCKER_BUILDKIT=1

build() {
  docker build --network host --file "dockerfiles/$name.dockerfile" \
    --build-arg "BASE_IMAGE=${BASE_IMAGE:-python:3.12-slim}" "$@" .
}

# A worker of Cloud Build has no cache, so each commit would install, and push, the trainer's gigabytes anew. They are an
# image of their own, by what is installed; and by the month, so that fixes of the base image arrive.
set --
if [ "$name" = trainer ] && [ -n "${PUSH:-}" ]; then
  key=$(cat dockerfiles/trainer.dockerfile requirements/build.txt requirements/trainer.txt | sha256sum | cut -c -16)
  installed=$REGISTRY/trainer-installed:$(date -u +%Y-%m)-$key
  if ! docker pull --quiet "$installed"; then
    build --target installed --tag "$installed"
    docker push --quiet "$installed"
  fi
  set -- --build-arg "INSTALLED=$installed"
fi
build --tag "$image" --build-arg "COMMIT=$COMMIT" --build-arg "VERSION=$version" "$@"

set -- --network none --read-only --tmpfs /tmp --cap-drop all --security-opt no-new-privileges
if [ "$name" = trainer ]; then
  docker run --rm "$@" "$image" data=inbox experiment=debug
  exit
fi
# a service: it answers on its health route although nothing is published yet, and stops when told to
container=$(docker run --detach "$@" "$image")
trap 'docker logs "$container"; docker rm --force "$container" >/dev/null' EXIT
health() { docker inspect --format '{{.State.Health.Status}}' "$container"; }
tries=60
until [ "$(health)" = healthy ]; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || { echo "$name: does not become healthy" >&2; exit 1; }
  sleep 1
done
docker stop --time 10 "$container" >/dev/null
exit "$(docker inspect --format '{{.State.ExitCode}}' "$container")"
