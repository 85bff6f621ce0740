"""Follow every link of the built site: python docs/check_site.py site.

Pages and anchors of the site itself are looked up; addresses elsewhere must be https.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse


class Page(HTMLParser):
    """The links of a page, and the anchors that links may lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.pictures_without_words: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element links to, and what it is called."""
        given = {name: value or "" for name, value in attrs}
        if tag in ("a", "link", "area") and "href" in given:
            self.links.add(given["href"])
        if tag in ("img", "script") and given.get("src"):
            self.links.add(given["src"])
        if tag == "img" and not given.get("alt"):
            self.pictures_without_words.add(given.get("src", ""))
        if "id" in given:
            self.anchors.add(given["id"])
        if tag == "a" and "name" in given:
            self.anchors.add(given["name"])


def read_pages(site: Path) -> dict[Path, Page]:
    """Return all pages of a site, by file."""
    pages = {}
    for path in sorted(site.rglob("*.html")):
        page = Page()
        page.feed(path.read_text(encoding="utf-8"))
        pages[path.resolve()] = page
    return pages


def broken_links(site: Path) -> list[str]:
    """Return what is wrong with the links of a site, a line for each."""
    pages = read_pages(site)
    wrong = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        wrong += [
            f"{name}: {problem}"
            for link in sorted(page.links)
            if (problem := _problem(link, path, pages, site.resolve()))
        ]
        wrong += [
            f"{name}: {picture} has no words for those who do not see it"
            for picture in sorted(page.pictures_without_words)
        ]
    return wrong


def _problem(link: str, path: Path, pages: dict[Path, Page], site: Path) -> str:
    """Return what is wrong with a link on a page; nothing if it leads somewhere."""
    parts = urlparse(link)
    if parts.scheme or parts.netloc:
        return "" if parts.scheme in ("https", "mailto") else f"{link} is not https"
    target, anchor = urldefrag(link)
    start = site if target.startswith("/") else path.parent
    file = (start / unquote(target).lstrip("/")).resolve() if target else path
    if file.is_dir():
        file = file / "index.html"
    if not file.is_file():
        return f"{link} leads nowhere"
    if anchor and file in pages and unquote(anchor) not in pages[file].anchors:
        return f"{link} has no such anchor"
    return ""


def main() -> None:
    """Tell what is wrong, and fail if anything is."""
    site = Path(sys.argv[1])
    wrong = broken_links(site)
    for line in wrong:
        print(line)
    print(f"{len(read_pages(site))} pages, {len(wrong)} problems with their links")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
