"""Which proxy a call goes through: settings, variables, and hosts that are exempt."""

from __future__ import annotations

import shutil
import subprocess
from typing import Optional

import pytest

from libica.openapi import libtes
from libica.openapi.libtes import _proxies
from libica.openapi.libtes._proxies import is_exempt

from ...server import Server

EXEMPT = [  # host, NO_PROXY, whether it is exempt
    *(("tes.example", "*", True), ("tes.example", "*,other.example", False)),
    *(("tes.example", "tes.example", True), ("TES.example", "tes.EXAMPLE", True)),
    *(("tes.example", "example", True), ("tes.example", ".example", True)),
    *(("example", ".example", True), ("tes.example", "s.example", False)),
    *(("tes.example", "tes.example.", True), ("tes.example.", "tes.example", True)),
    *(("tes.example", "tes.example.org", False), ("tes.example", "10.0.0.0/8", False)),
    *(("tes.example", "", False), ("tes.example", ",", False)),
    ("tes.example", "a.example, tes.example ,b.example", True),
    *(("127.0.0.1", "127.0.0.1", True), ("127.0.0.1", "127.0.0.0/8", True)),
    *(("127.0.0.1", "127.0.0.2/31", False), ("127.0.0.1", "0.0.1", False)),
    ("127.0.0.1", "10.0.0.0/8,127.0.0.0/24", True),
    *(("[::1]", "::1", True), ("[::1]", "fe80::/10", False)),
]
EXEMPT_BEYOND_CURL = [  # no version knows ports, and some no blanks or networks of IPv6
    *(("tes.example", "a.example tes.example", True), ("[::1]", "::/64", True)),
    *(("tes.example", "tes.example:80", True), ("tes.example", "tes.example:8080", False)),
    *(("127.0.0.1", "127.0.0.0/8:80", True), ("[::1]", "[::1]", True)),
    *(("[::1]", "[::1]:80", True), ("[::1]", "[::1]:443", False)),
]


@pytest.mark.parametrize(("host", "no_proxy", "exempt"), EXEMPT + EXEMPT_BEYOND_CURL)
def test_no_proxy_exempts_domains_addresses_networks_and_ports(
    host: str, no_proxy: str, exempt: bool
) -> None:
    assert is_exempt(host, 80, no_proxy) is exempt


def test_no_proxy_is_read_as_curl_reads_it(server: Server, other: Server) -> None:
    curl = shutil.which("curl")
    version = curl and subprocess.run([curl, "--version"], capture_output=True, text=True).stdout
    if not version or tuple(map(int, version.split()[1].split(".")[:2])) < (7, 86):
        pytest.skip("needs curl 7.86, the first that reads networks")
    for host, no_proxy, exempt in EXEMPT:
        other.asked.clear()
        command = [curl, "-q", "-s", "-o", "/dev/null", "-x", other.url, "--noproxy", no_proxy]
        command += ["--connect-to", f"::127.0.0.1:{server.port}"] if exempt else []
        subprocess.run([*command, f"http://{host}/"], timeout=20, check=True)
        assert (not other.asked) is exempt, (host, no_proxy)


@pytest.mark.parametrize(
    ("variables", "scheme", "chosen"),
    [
        ({}, "http", None),
        ({"HTTP_PROXY": "http://a:1"}, "http", "http://a:1"),
        ({"HTTP_PROXY": "http://a:1"}, "https", None),
        ({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:1"}, "https", "http://a:1"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://b:1"}, "https", None),
        ({"https_proxy": "", "ALL_PROXY": "http://b:1"}, "https", "http://b:1"),
        ({"ALL_PROXY": "socks5://a:1"}, "http", "socks5://a:1"),
        ({"HTTP_PROXY": "http://a:1", "ALL_PROXY": "http://b:1"}, "http", "http://a:1"),
        ({"HTTP_PROXY": "http://a:1", "REQUEST_METHOD": "GET"}, "http", None),
        ({"http_proxy": "http://a:1", "REQUEST_METHOD": "GET"}, "http", "http://a:1"),
        ({"HTTP_PROXY": " http://a:1 "}, "http", "http://a:1"),
        ({"HTTP_PROXY": "http://a:1", "NO_PROXY": "tes.example"}, "http", None),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "tes.example:443"}, "https", None),
        ({"ALL_PROXY": "http://a:1", "NO_PROXY": "tes.example:443"}, "http", "http://a:1"),
        ({"HTTP_PROXY": "a:1"}, "http", "http://a:1"),
        ({"HTTP_PROXY": "http://user:pa$$<w@rd>@a:1"}, "http", "http://a:1"),
    ],
)
def test_variables_name_the_proxy(
    variables: dict[str, str], scheme: str, chosen: Optional[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    configuration = libtes.Configuration(f"{scheme}://tes.example")
    proxy = _proxies.proxy_for(configuration, configuration.host)
    assert (proxy and proxy.url) == chosen


@pytest.mark.parametrize("source", ["proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    "value",
    ["ftp://127.0.0.1", "socks6://a:1", "http://", "http://a b", "//x", "http:/a:1", "${PROXY}"],
)
def test_a_proxy_that_is_unusable_names_its_setting_or_variable(
    source: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheme = "http" if source == "HTTP_PROXY" else "https"
    configuration = libtes.Configuration(f"{scheme}://tes.example")
    if source == "proxy":
        configuration.proxy = value
    else:
        monkeypatch.setenv(source, value)
    client = libtes.ApiClient(configuration)
    with pytest.raises(libtes.ApiValueError, match=f"`{source}`.*http://host:port"):
        libtes.TasksApi(client).list_tasks()


def test_a_socks_proxy_without_pysocks_names_the_variable_and_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_proxies, "find_spec", lambda name: None)
    monkeypatch.setenv("ALL_PROXY", "socks5://user:s3cret-w0rd@127.0.0.1:1080")
    client = libtes.ApiClient(libtes.Configuration("https://tes.example"))
    with pytest.raises(libtes.ApiValueError, match=r"`ALL_PROXY`.*\[socks\]") as caught:
        libtes.TasksApi(client).list_tasks()
    assert "s3cret-w0rd" not in str(caught.value)


def test_pools_of_hosts_that_are_not_used_any_more_are_dropped(
    server: Server, client: libtes.ApiClient
) -> None:
    for number in range(2, 20):
        client.configuration.host = server.url.replace("127.0.0.1", f"127.0.0.{number}")
        client.configuration.proxy = server.url  # which takes calls to any host
        libtes.TasksApi(client).list_tasks()
    assert len(client._rest._pools) <= 8
    connections = server.connections
    for size in range(1, 20):
        client.configuration.max_response_bytes = 1000 + size
        libtes.TasksApi(client).list_tasks()
    assert server.connections == connections
    assert len(client._rest._pools) <= 8
