"""Google's descriptions of its messages, as schemas that refuse what Google would refuse."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from boatyard.cloud.schemas import google_schema

pytestmark = pytest.mark.unit


def mistakes(api: str, message: str, given: dict[str, Any]) -> list[str]:
    found = Draft202012Validator(google_schema(api, message)).iter_errors(given)
    return [error.json_path for error in found]


def service(**container: Any) -> dict[str, Any]:
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "api", "labels": {"any": "key"}},
        "spec": {"template": {"spec": {"containers": [{"image": "x", **container}]}}},
    }


def test_a_right_message_is_accepted() -> None:
    assert mistakes("run.v1", "Service", service(ports=[{"containerPort": 8080}], args=["--debug"])) == []


@pytest.mark.parametrize(
    ("given", "where"),
    [
        (service(imagee="y"), "$.spec.template.spec.containers[0]"),
        (service(ports=[{"containerPort": "http"}]), "$.spec.template.spec.containers[0].ports[0].containerPort"),
        (service(args="--debug"), "$.spec.template.spec.containers[0].args"),
        (service() | {"metadata": {"labels": {"replicas": 1}}}, "$.metadata.labels.replicas"),
    ],
)
def test_a_wrong_key_or_type_is_found_where_it_is(given: dict[str, Any], where: str) -> None:
    assert mistakes("run.v1", "Service", given) == [where]


def test_a_value_out_of_a_list_is_held_to_it() -> None:
    schema = "aiplatform.v1", "GoogleCloudAiplatformV1Scheduling"
    assert mistakes(*schema, {"strategy": "SPOT"}) == []
    assert mistakes(*schema, {"strategy": "CHEAP"}) == ["$.strategy"]


@pytest.mark.parametrize("size", [100, "100"])
def test_a_long_whole_number_may_be_a_string(size: object) -> None:
    options = {"options": {"diskSizeGb": size}}
    assert mistakes("cloudbuild.v1", "Build", options) == []
    assert mistakes("cloudbuild.v1", "Build", {"options": {"diskSizeGb": f"{size} GB"}}) != []


def test_a_message_that_holds_itself_has_a_schema() -> None:
    nested = {"properties": {"a": {"items": {"type": "STRING"}}}}
    assert mistakes("aiplatform.v1", "GoogleCloudAiplatformV1Schema", nested) == []
    nested["properties"]["a"]["items"]["typo"] = "STRING"
    assert mistakes("aiplatform.v1", "GoogleCloudAiplatformV1Schema", nested) == ["$.properties.a.items"]


def test_an_unknown_message_is_named() -> None:
    with pytest.raises(KeyError, match=r"run\.v1 has no message Servise"):
        google_schema("run.v1", "Servise")
