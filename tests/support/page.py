"""What is wrong with a page."""

import html.parser
import re

VOID = {"meta", "link", "br", "input", "img", "hr"}


class Checked(html.parser.HTMLParser):
    """Tags that do not close, ids that are there twice, links to nowhere, loads, pictures without words."""

    def __init__(self, text):
        super().__init__()
        self.problems, self._open, self._ids, self._links = [], [], [], []
        self.text, self.pictures = [], 0
        self.feed(text)
        self.close()
        self.problems += [f"<{tag}> does not close" for tag in self._open]
        self.problems += [
            f"id {name} {self._ids.count(name)} times" for name in {*self._ids} if self._ids.count(name) > 1
        ]
        self.problems += [f"#{name} leads nowhere" for name in {*self._links} - {*self._ids}]

    def handle_starttag(self, tag, attributes):
        self._see(tag, dict(attributes))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self._see(tag, dict(attributes))

    def _see(self, tag, values):
        self._ids += [values["id"]] if "id" in values else []
        for name, value in values.items():
            if name in ("src", "href", "xlink:href", "srcset", "action") and not value.startswith(("#", "data:")):
                self.problems.append(f"<{tag}> loads {value}")
            if name in ("href", "xlink:href") and value.startswith("#"):
                self._links.append(value[1:])
            self._links += re.findall(r"url\(#(.*?)\)", value or "")
        if tag in ("svg", "img"):
            self.pictures += 1
            if not (values.get("aria-label") or values.get("alt")):
                self.problems.append(f"<{tag}> without words")

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.problems.append(f"</{tag}> closes nothing")

    def handle_data(self, data):
        self.text.append(data)
