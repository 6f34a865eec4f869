"""Check a built site without a network: links lead to what exists, and pages load nothing from elsewhere."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}
_RELATIONS_NOT_LOADED = {"canonical", "next", "prev", "index", "search", "author", "license", "genindex"}


class Page(HTMLParser):
    """The links, loaded files and anchors of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag leads to, loads, and is called."""
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if (name := _LOADED.get(tag)) in given and not _RELATIONS_NOT_LOADED & set(given.get("rel", "").split()):
            self.loaded.append(given[name])


def faults(site: Path) -> list[str]:
    """Return what is wrong with a site, a line each."""
    pages = {path.resolve(): Page() for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        page.feed(path.read_text(encoding="utf-8"))
    found = []
    for path, page in pages.items():
        where = path.relative_to(site.resolve())
        for link in page.loaded:
            if urlsplit(link).netloc or urlsplit(link).scheme not in ("", "data"):
                found.append(f"{where}: loads {link} from elsewhere")
        for link in page.links + page.loaded:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                found.append(f"{where}: {link} leads nowhere")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                found.append(f"{where}: {link} has no such heading")
    found += [
        f"{path.relative_to(site)}: loads from elsewhere"
        for path in sorted(site.rglob("*.css"))
        if any(mark in path.read_text(encoding="utf-8") for mark in ("url(http", 'url("http', "url(//", "@import"))
    ]
    return found


if __name__ == "__main__":
    lines = faults(Path(sys.argv[1]))
    print(*lines, f"{len(lines)} faults in {sys.argv[1]}", sep="\n")
    sys.exit(bool(lines))
