"""Rewrites the pages' links to files of the repository, so that they work on the site."""

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
_CODE_OR_LINK = re.compile(
    r"^```.*?^```|`[^`\n]+`|(?<!!)\[(?P<text>[^\]]*)\]\((?P<to>[^)\s]+)\)", re.DOTALL | re.MULTILINE
)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files, **_: Any) -> str:
    """Link to the file's page on the site, or to the file in the repository.

    Without the repository's URL only the link's text is kept. MkDocs warns of links to missing files.
    """
    if page.file.abs_src_path is None:
        return markdown
    home = Path(page.file.abs_src_path).parent
    pages = {
        Path(file.abs_src_path): file.src_uri for file in files if file.abs_src_path and file.inclusion.is_included()
    }

    def rewrite(match: re.Match[str]) -> str:
        text, to = match["text"], match["to"]
        if to is None or re.match(r"[a-z]+:|#", to):
            return match[0]
        path, _, anchor = to.partition("#")
        file = Path(os.path.normpath(home / path))
        if file in pages:
            to = os.path.relpath(pages[file], Path(page.file.src_uri).parent).replace(os.sep, "/")
            return f"[{text}]({to}{'#' + anchor if anchor else ''})"
        if not file.exists() or not file.is_relative_to(ROOT):
            return match[0]
        repository = config.extra["repository"].rstrip("/")
        return f"[{text}]({repository}/blob/HEAD/{file.relative_to(ROOT).as_posix()})" if repository else text

    return _CODE_OR_LINK.sub(rewrite, markdown)
