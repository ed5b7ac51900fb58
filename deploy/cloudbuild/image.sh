#!/bin/sh
# sh deploy/cloudbuild/image.sh NAME: builds $REGISTRY/NAME:$COMMIT and runs it once, hardened and without a network.
set -eu
name=$1
image=$REGISTRY/$name:$COMMIT
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
export DOCKER_BUILDKIT=1

docker build --network host --tag "$image" --file "dockerfiles/$name.dockerfile" \
  --build-arg "BASE_IMAGE=${BASE_IMAGE:-python:3.12-slim}" --build-arg "COMMIT=$COMMIT" --build-arg "VERSION=$version" .

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
