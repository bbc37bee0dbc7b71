"""A language server as an editor drives it: JSON-RPC over its standard input and output."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

Json = dict[str, Any]


class LanguageServer:
    """A running server, with one file open in it."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, text: str) -> None:
        self._process = process
        self._lines = text.splitlines()
        self._count = 0
        self._document = {"uri": (folder / "use.py").as_uri()}
        self.diagnostics: Optional[list[Json]] = None
        root = {"uri": folder.as_uri(), "name": folder.name}
        markdown = {"contentFormat": ["plaintext"], "documentationFormat": ["plaintext"]}
        able = {"hover": markdown, "signatureHelp": {"signatureInformation": markdown}}
        given = {"processId": None, "rootUri": root["uri"], "workspaceFolders": [root]}
        self._ask("initialize", {**given, "capabilities": {"textDocument": able}})
        self._send({"method": "initialized", "params": {}})
        opened = {**self._document, "languageId": "python", "version": 1, "text": text}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": opened}})

    def hover(self, line: str) -> str:
        """Return what is shown over the method that a line calls."""
        found = self._at("hover", line, line.index("(") - 1)
        return str(found["contents"]["value"])

    def signatures(self, line: str) -> list[Json]:
        """Return what is shown inside the parentheses of a line's call."""
        return list(self._at("signatureHelp", line, line.rindex(")"))["signatures"])

    def keywords(self, line: str) -> set[str]:
        """Return the keyword arguments that are offered inside a line's call."""
        found = self._at("completion", line, line.rindex(")"))
        return {each["label"] for each in found["items"] if each["label"].endswith("=")}

    def messages(self) -> dict[str, str]:
        """Return the messages for each line that has any."""
        while self.diagnostics is None:
            self._handle(self._receive())
        found: dict[str, str] = {}
        for each in self.diagnostics:
            line = self._lines[each["range"]["start"]["line"]]
            found[line] = f"{found.get(line, '')}{each['message']}\n"
        return found

    def _at(self, what: str, line: str, column: int) -> Any:
        position = {"line": self._lines.index(line), "character": column}
        place = {"textDocument": self._document, "position": position}
        return self._ask(f"textDocument/{what}", place)

    def _ask(self, method: str, params: Json) -> Any:
        self._count += 1
        self._send({"id": self._count, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == self._count and "method" not in message:
                return message["result"]
            self._handle(message)

    def _handle(self, message: Json) -> None:
        if message.get("method") == "textDocument/publishDiagnostics":
            self.diagnostics = message["params"]["diagnostics"]
        elif "id" in message:  # a request, for such as the settings of the editor
            items = message.get("params", {}).get("items", [])
            self._send({"id": message["id"], "result": [{} for _ in items] or None})

    def _send(self, message: Json) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _receive(self) -> Json:
        assert self._process.stdout
        length = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        message: Json = json.loads(self._process.stdout.read(length))
        return message


@contextlib.contextmanager
def serving(command: Sequence[str], folder: Path, text: str) -> Iterator[LanguageServer]:
    """Run a server for a folder, with a text open as the file ``use.py`` in it."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, stdin=pipe, stdout=pipe) as process:
        try:
            yield LanguageServer(process, folder, text)
        finally:
            process.kill()
