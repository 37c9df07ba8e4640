"""A page as a browser would take it apart."""

import html.parser

_VOID = {"meta", "img", "input", "br", "link", "hr"}


class _Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.tags = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def tags_of(page):
    """Every tag with its attributes; they must balance."""
    reader = _Reader()
    reader.feed(page)
    assert reader.open == []
    return reader.tags
