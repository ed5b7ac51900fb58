"""Documents and configuration less what speaks of something that was left out."""

import re
from collections.abc import Collection
from pathlib import PurePosixPath

_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]*)\]\((?P<to>[^)\s#]+)(?:#[^)\s]*)?\)")
_ASIDE = re.compile(r"\s\(\[[^\]]*\]\((?P<to>[^)\s#]+)(?:#[^)\s]*)?\)\)")
_SAID = r"(?:\[[^\]]*\]\([^)\s]+\)|`\w+`)"  # a link or a word of code, one of several between commas
_LISTED = re.compile(rf"{_SAID}(?:, {_SAID})+")
_TEST = r"tests/[\w/.-]*\w"
_CHECKED = re.compile(rf"; (?P<to>{_TEST})[^;\n]*(?= -->$)", re.MULTILINE)  # in the remark above a command
_SHOWN = re.compile(rf"\s\(`(?P<to>{_TEST})`[^()]*\)")
_NAMED = re.compile(rf"`({_TEST})`")
_PICTURE = re.compile(r"^!\[[^\]]*\]\((?P<to>[^)\s]+)\)\n", re.MULTILINE)
_FENCED = re.compile(r"(?:^<!--[^>]*-->\n)?^```(?P<kind>\w*)\n(?P<body>.*?)^```\n", re.DOTALL | re.MULTILINE)
_BLOCKS = re.compile(r"^```[\s\S]*?^```\n|^#{1,6} .*\n|\n+|(?:^(?!```|#{1,6} ).+\n?)+", re.MULTILINE)
_PROSE = re.compile(r"(?!```)(?:[^\W\d_]|[`*(\[])")  # no list, table, fence, comment or picture
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`*(\[])")
_ITEM = re.compile(r"^(?:\|.*\|\n|[ ]*- .*\n(?:[ ]{2,}(?!- ).*\n)*)", re.MULTILINE)


def prune_markdown(
    text: str, folder: PurePosixPath, words: re.Pattern[str], gone: set[str], kinds: Collection[str] = ()
) -> str:
    """The page of `folder` less commands, rows, items and members of lists that name what is gone.

    A link to it in parentheses goes with them; others become plain text. So do what names a test that is gone, and a
    heading and a sentence that ends in a colon, if nothing is left of what they announce. `kinds`: the inputs and tasks
    that are gone.
    """

    def is_gone(to: str) -> bool:
        return "://" not in to and _normal(folder, to) in gone

    def fence(match: re.Match[str]) -> str:
        if match["kind"] not in ("bash", "") or not words.search(match["body"]):
            return match[0]
        lines = [line for line in match["body"].splitlines(keepends=True) if not words.search(line)]
        kept = match[0].replace(match["body"], "".join(lines))
        return kept if any(line.strip() and not line.startswith("#") for line in lines) else ""

    def listed(match: re.Match[str]) -> str:
        members = re.findall(_SAID, match[0])
        kept = [each for each in members if not is_left_out(each)]
        return ", ".join(kept or members)

    def is_left_out(member: str) -> bool:
        link = _LINK.fullmatch(member)
        return is_gone(link["to"]) if link else member.strip("`") in kinds

    def item(match: re.Match[str]) -> str:
        links = [is_gone(each["to"]) for each in _LINK.finditer(match[0])]
        return "" if words.search(match[0]) or (links and all(links)) else match[0]

    parts = re.split(r"(^```.*?^```\n)", _FENCED.sub(fence, text), flags=re.DOTALL | re.MULTILINE)
    for number in range(0, len(parts), 2):
        prose = _PICTURE.sub(lambda match: "" if is_gone(match["to"]) else match[0], parts[number])
        prose = _LISTED.sub(listed, _ITEM.sub(item, prose))
        prose = _ASIDE.sub(lambda match: "" if is_gone(match["to"]) else match[0], prose)
        for said in (_CHECKED, _SHOWN):
            prose = said.sub(lambda match: "" if match["to"] in gone else match[0], prose)
        prose = _drop_sentences(prose, gone)
        parts[number] = _LINK.sub(lambda match: match["text"] if is_gone(match["to"]) else match[0], prose)
    return re.sub(r"\n{3,}", "\n\n", _drop_dangling("".join(parts)))


def _drop_sentences(prose: str, gone: set[str]) -> str:
    """The prose less sentences that name a test that is gone."""
    blocks = _BLOCKS.findall(prose)
    for number, block in enumerate(blocks):
        said = _SENTENCE_END.split(block) if _PROSE.match(block) else []
        kept = [each for each in said if not gone & {*_NAMED.findall(each)}]
        if len(kept) < len(said):
            blocks[number] = " ".join(kept).rstrip() + "\n" if kept else ""
    return "".join(blocks)


def _drop_dangling(text: str) -> str:
    """The page less headings without a section, and less sentences that end in a colon before prose or a heading."""
    blocks = [block for block in _BLOCKS.findall(text) if block]
    kept: list[str] = []
    for block in reversed(blocks):
        follows = next((each for each in reversed(kept) if each.strip()), "")
        level, next_level = _level(block), _level(follows)
        if level > 1 and (not follows or 0 < next_level <= level):
            continue
        if (
            block.rstrip().endswith(":")
            and _PROSE.match(block)
            and (next_level or not follows or _PROSE.match(follows))
        ):
            ended = _SENTENCE_END.split(block)[:-1]
            block = " ".join(ended) + "\n" if ended else ""
        kept.append(block)
    return "".join(reversed(kept))


def _level(block: str) -> int:
    """Of a heading; 0: it is none."""
    return len(block) - len(block.lstrip("#")) if re.match("#{1,6} ", block) else 0


def _normal(folder: PurePosixPath, to: str) -> str:
    path: list[str] = []
    for each in (folder / to).parts:
        if each == ".." and path:
            path.pop()
        elif each != ".":
            path.append(each)
    return "/".join(path)


def drop_key(text: str, name: str) -> str:
    """YAML less a key and all below it; a dotted name is a key below another. Of a list, items that have the name."""
    lines, kept, depth, inside = text.splitlines(keepends=True), [], -1, [""]
    wanted = name.split(".")
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if depth >= 0 and (not line.strip() or indent > depth or (indent == depth and line.lstrip().startswith("- "))):
            continue
        depth = -1
        if re.match(rf' *(\{{.*"name": )?"{re.escape(name)}"\}}?,?$', line):  # as JSON has it
            continue
        if re.match(rf" *- (name|alert): {re.escape(name)}$", line):
            depth = indent + 1
            continue
        if match := re.match(r"( *)[\"']?([\w.-]+)[\"']?:", line):
            inside = [*inside[: indent // 2], match[2]]
            if inside == wanted:
                depth = indent
                continue
        kept.append(line)
    return "".join(kept)


def drop_heading(text: str, name: str) -> str:
    """Markdown less a section: from its heading to the next of the same level or above."""
    pattern = rf"^(#+) {re.escape(name)}\n.*?(?=^#{{1,6}} |\Z)"
    match = re.search(pattern, text, re.DOTALL | re.MULTILINE)
    if not match:
        return text
    level = len(match[1])
    following = re.compile(rf"^#{{1,{level}}} ", re.MULTILINE).search(text, match.start() + level)
    return text[: match.start()] + (text[following.start() :] if following else "")
