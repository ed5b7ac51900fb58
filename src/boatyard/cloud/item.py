"""One resource of a project: found, created, changed and deleted by REST, in the one way that Google's APIs share."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from boatyard.cloud.access import Cloud
from boatyard.cloud.rest import ApiError

Object = dict[str, Any]

_PAUSE, _LONGEST = 2.0, 600.0  # seconds between looks at what Google is doing, and until it must have ended


@dataclass(frozen=True)
class Item:
    """One resource of an API. Its name is either part of its path, or one of those that its collection lists."""

    name: str
    """In words."""
    api: str
    collection: str
    body: Object
    path: str = ""
    """Empty: Google chooses it, and the item is found by its display name."""
    listed: str = ""
    """The key of the list that the collection answers with, where `path` is empty."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Of the request that creates it."""
    deletion: Mapping[str, str] = field(default_factory=dict)
    """Of the request that deletes it."""
    kept: tuple[str, ...] = ()
    """Keys of the body whose content is put back where what exists lacks some of it; what else is there stays."""


def find(cloud: Cloud, item: Item) -> tuple[str, Object] | None:
    """Its path and content; None if it does not exist. Raises Undecided: the caller may not see it."""
    if item.path:
        content = cloud.get(item.api, item.path)
        return None if content is None else (item.path, content)
    version = item.collection.partition("/")[0]
    for content in cloud.api(item.api).pages(item.collection, item.listed):
        if content.get("displayName") == item.body["displayName"]:
            return f"{version}/{content['name']}", content
    return None


def is_deleted(content: Object) -> bool:
    """Google keeps it for thirty days, in which nothing else can have its name."""
    return content.get("state") == "DELETED"


def differs(item: Item, content: Object) -> bool:
    """Whether what exists lacks something that is kept."""
    return any(not _includes(content.get(key), item.body[key]) for key in item.kept)


def create(cloud: Cloud, item: Item) -> None:
    """Returns once it exists. Raises ApiError."""
    try:
        answer = cloud.api(item.api).post(item.collection, item.body, **item.parameters)
    except ApiError as error:
        if error.status != 409 or find(cloud, item) is None:
            raise  # or else an answer was lost, and it is there
        return
    await_end(cloud, item.api, item.name, answer)


def restore(cloud: Cloud, item: Item) -> None:
    """Undo its deletion, and put back what is kept. Raises ApiError."""
    await_end(cloud, item.api, item.name, cloud.api(item.api).post(f"{item.path}:undelete"))
    if (found := find(cloud, item)) and differs(item, found[1]):
        change(cloud, item, *found)


def change(cloud: Cloud, item: Item, path: str, content: Object) -> None:
    """Put back what is kept. Raises ApiError."""
    merges = item.api == "storage"  # objects, by itself; the others replace what the mask names
    body = {key: _merged(content.get(key), item.body[key], not merges) for key in item.kept}
    mask = {} if merges else {"updateMask": ",".join(item.kept)}
    await_end(cloud, item.api, item.name, cloud.api(item.api).patch(path, body, **mask))


def delete(cloud: Cloud, item: Item, path: str) -> None:
    """Returns once it is gone. Raises ApiError."""
    try:
        answer = cloud.api(item.api).delete(path, **item.deletion)
    except ApiError as error:
        if error.status != 404:
            raise
        return
    await_end(cloud, item.api, item.name, answer)


def await_end(cloud: Cloud, api: str, what: str, answer: Object) -> None:
    """Until what Google began with this answer is done. Raises ApiError: it failed."""
    deadline = time.monotonic() + _LONGEST
    while "operations/" in answer.get("name", "") and not answer.get("done"):
        if time.monotonic() > deadline:
            raise ApiError(f"{what}: Google has not ended it in {_LONGEST / 60:.0f} minutes")
        time.sleep(_PAUSE)
        answer = cloud.api(api).get(f"v1/{answer['name']}")
    if error := answer.get("error"):
        raise ApiError(f"{what}: {str(error.get('message', 'it failed')).rstrip('.')}")


def _includes(content: Any, wanted: Any) -> bool:
    """Whether all that is wanted is in the content, beside other things; what Google leaves out is nought."""
    if isinstance(wanted, dict):
        return all(_includes((content or {}).get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return all(any(_includes(each, one) for each in content or []) for one in wanted)
    return bool(content == wanted) or (content is None and wanted in ("0", 0, False))


def _merged(content: Any, wanted: Any, all_of_it: bool) -> Any:
    """What is wanted, beside the lists' other elements; with `all_of_it` beside the objects' other keys, too."""
    if isinstance(wanted, dict):
        before = content or {}
        merged = {key: _merged(before.get(key), value, all_of_it) for key, value in wanted.items()}
        return before | merged if all_of_it else merged
    if isinstance(wanted, list):
        before = content or []
        return [*before, *(one for one in wanted if not any(_includes(each, one) for each in before))]
    return wanted
