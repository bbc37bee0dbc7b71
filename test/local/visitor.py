"""Visits the page over plain HTTP, as a browser without scripts does."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import NamedTuple, Optional
from urllib.parse import urlencode

import urllib3

from libica.local import LocalTes


class Answer(NamedTuple):
    status: int
    text: str
    headers: urllib3.HTTPHeaderDict

    @property
    def html(self) -> Document:
        return Document(self.text)


class Visitor:
    """Signed in with an access token, unless it is empty."""

    def __init__(self, tes: LocalTes, token: str) -> None:
        self.url = tes.url
        self.cookie = ""
        self._pool = urllib3.PoolManager()
        if token:
            signed_in = self.post("/sign-in", token=token)
            assert signed_in.status == 303, signed_in
            self.cookie = signed_in.headers["Set-Cookie"].partition(";")[0]

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.clear()

    def send(self, method: str, path: str, body: str = "", **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookie:
            sent.setdefault("Cookie", self.cookie)
        response = self._pool.request(
            method, self.url + path, body=body or None, headers=sent, retries=False, redirect=False
        )
        return Answer(response.status, response.data.decode(), response.headers)

    def get(self, path: str, **query: str) -> Answer:
        return self.send("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, origin: Optional[str] = None, **fields: str) -> Answer:
        return self.send("POST", path, urlencode(fields), Origin=origin or self.url)

    def ok(self, path: str, **query: str) -> Document:
        answer = self.get(path, **query)
        assert answer.status == 200, answer
        return answer.html

    def all_of(self, path: str, **query: str) -> list[str]:
        """Return the links to runs on all pages of a list, following the links between pages."""
        document, found = self.ok(path, **query), []
        while True:
            found += [link for link in document.links if re.match("/runs/trn", link)]
            following = [link for link, text in document.links.items() if text == "Next"]
            if not following:
                return found
            document = self.ok(following[0])


class Document(HTMLParser):
    """What a browser would make of HTML: its text, elements with their attributes, and links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = ""
        self.elements: list[tuple[str, dict[str, Optional[str]]]] = []
        self.links: dict[str, str] = {}
        self._link = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "a":
            self._link = dict(attrs).get("href") or ""
            self.links[self._link] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._link = ""

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._link:
            self.links[self._link] += data
