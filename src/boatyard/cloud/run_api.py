"""Cloud Run's Admin API: read, deploy, move traffic and delete services."""

import time
from typing import Any, Self

from requests import Session

from boatyard.cloud.place import Place
from boatyard.cloud.rest import Api, ApiError, open_session
from boatyard.cloud.service import (
    CANDIDATE,
    Object,
    annotations,
    condition,
    preserved_annotations,
    traffic,
    with_served,
)
from boatyard.evaluate.markdown import one_line

_START_SECONDS = 600.0  # to pull the image, and the four minutes that Cloud Run allows for a start


class Refused(Exception):  # noqa: N818 - says what happened
    """Cloud Run, or the new revision, rejected or failed the request."""


class RunApi:
    """Services and revisions of one project and region."""

    def __init__(self, where: Place) -> None:
        self.generation: int | None = None
        """Of the service, as this process last read or wrote it."""
        self._host = f"{where.region}-run.googleapis.com"
        self._parent = f"apis/serving.knative.dev/v1/namespaces/{where.project}"
        self._api = Api(Session(), "run", self._host)

    def connect(self) -> Self:
        """Load credentials, which a dry run does without."""
        self.session = open_session()
        self._api = Api(self.session, "run", self._host)
        return self

    @property
    def address(self) -> str:
        """Of the API."""
        return self._api.address

    def begin_change(self, name: str) -> Object | None:
        """The service that a decision is about to be based on: `move` refuses if anyone changes it after this."""
        service = self.find(name)
        self.generation = None if service is None else service["metadata"]["generation"]
        return service

    def find(self, name: str) -> Object | None:
        """The service; None if it does not exist."""
        try:
            return self._api.get(self._path(name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def revisions(self, name: str) -> list[Object]:
        """Newest first."""
        selector = f"serving.knative.dev/service={name}"
        revisions = self._api.get(f"{self._parent}/revisions", labelSelector=selector).get("items", [])
        return sorted(revisions, key=lambda revision: str(revision["metadata"]["creationTimestamp"]), reverse=True)

    def request(self, manifest: Object, before: Object | None) -> tuple[str, str, Object]:
        """Method, path and body that create the revision: without traffic if another one has it."""
        new = {"revisionName": manifest["spec"]["template"]["metadata"]["name"], "tag": CANDIDATE}
        serving = traffic(before)
        targets = [*serving, {**new, "percent": 0}] if serving else [{**new, "percent": 100}]
        metadata, spec = manifest["metadata"], manifest["spec"] | {"traffic": targets}
        if before is None:
            return "POST", f"{self._parent}/services", manifest | {"spec": spec}
        metadata = metadata | {
            "annotations": preserved_annotations(before) | annotations(manifest),
            "resourceVersion": before["metadata"]["resourceVersion"],  # of two concurrent deployments one is refused
        }
        return "PUT", self._path(metadata["name"]), manifest | {"metadata": metadata, "spec": spec}

    def send(self, manifest: Object, before: Object | None) -> None:
        """Create the revision. Raises ApiError."""
        method, path, body = self.request(manifest, before)
        service = self._api.post(path, body) if method == "POST" else self._api.put(path, body)
        self.generation = service["metadata"]["generation"]

    def wait(self, name: str, kind: str = "Ready") -> Object:
        """The service once this condition holds for its latest generation. Raises Refused."""
        deadline, pause = time.monotonic() + _START_SECONDS, 0.2
        while time.monotonic() < deadline:
            service = self._api.get(self._path(name))
            state = condition(service, kind)
            if service["status"].get("observedGeneration") == service["metadata"]["generation"]:
                if state.get("status") == "True":
                    return service
                if state.get("status") == "False":
                    raise Refused(one_line(state.get("message") or "Cloud Run gives no reason"))
            time.sleep(pause)
            pause = min(pause * 1.5, 5.0)
        raise Refused(f"{name} is not ready after {_START_SECONDS / 60:.0f} minutes")

    def move(self, name: str, targets: list[Object], served: list[str]) -> Object:
        """Change only the traffic: the template stays as it is, even if its revision does not start.

        Raises Refused, also if the service was changed since `begin_change` or the last write.
        """
        service = self._api.get(self._path(name))
        metadata = service["metadata"]
        if metadata["generation"] != self.generation:
            raise Refused(f"{name} was changed meanwhile, and is left as it is now: look at `invoke cloud.status`")
        body: dict[str, Any] = {
            **{key: service[key] for key in ("apiVersion", "kind")},
            "metadata": {
                **{key: metadata[key] for key in ("name", "namespace", "resourceVersion")},
                "labels": metadata.get("labels", {}),
                "annotations": with_served(service, served),
            },
            "spec": service["spec"] | {"traffic": targets},
        }
        self.generation = self._api.put(self._path(name), body)["metadata"]["generation"]
        return self.wait(name, "RoutesReady")

    def delete(self, name: str) -> None:
        """Returns once the service is gone."""
        self._api.delete(self._path(name))
        deadline = time.monotonic() + _START_SECONDS
        while self.find(name) and time.monotonic() < deadline:
            time.sleep(1)

    def _path(self, name: str) -> str:
        return f"{self._parent}/services/{name}"
