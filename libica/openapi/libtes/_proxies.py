"""Chooses the proxy of a request: the setting, or the environment variables as curl reads them."""

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from typing import NamedTuple, Optional
from urllib.parse import unquote, urlsplit, urlunsplit

from urllib3 import make_headers

from .configuration import Configuration, check_header, is_url
from .exceptions import wrong_value

HTTP_SCHEMES = ("http", "https")
SOCKS_SCHEMES = ("socks4", "socks4a", "socks5", "socks5h")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Proxy(NamedTuple):
    """A proxy; the URL, which error messages show, is without user and password."""

    url: str
    user: str
    password: str
    headers: dict[str, str]

    def __repr__(self) -> str:
        return f"<Proxy {self.url}>"

    @property
    def secrets(self) -> list[str]:
        """What messages must not show."""
        login = f"{self.user}:{self.password}" if self.user else ""
        return [*self.headers.values(), login, self.password]


def proxy_for(configuration: Configuration, origin: str) -> Optional[Proxy]:
    """Return the proxy for requests to an origin, ``scheme://host:port``, or ``None``."""
    source, value = "proxy", configuration.proxy
    if not value:
        source, value = _from_environment(origin)
    if not value:
        return None
    headers = configuration.proxy_headers or {}
    for name, each in headers.items():
        check_header(name, each, "proxy_headers")
    return _parse(value, source, headers)


def _parse(value: str, source: str, headers: Mapping[str, str]) -> Proxy:
    url = value if "://" in value else f"http://{value}"
    misspelled = url != value and "/" in value.rstrip("/")  # such as http:/host
    if misspelled or not is_url(url, HTTP_SCHEMES + SOCKS_SCHEMES):
        schemes = ", ".join(HTTP_SCHEMES + SOCKS_SCHEMES)
        raise wrong_value(source, f"be a URL such as http://host:port; schemes are {schemes}")
    parts = urlsplit(url)
    if parts.scheme in SOCKS_SCHEMES and find_spec("socks") is None:
        how = "SOCKS proxies need PySocks: run `pip install 'libica-libtes[socks]'`"
        raise wrong_value(source, f"be an HTTP proxy; {how}")
    login, _, address = parts.netloc.rpartition("@")
    user, _, password = (unquote(part) for part in login.partition(":"))
    basic = {}
    if login and parts.scheme in HTTP_SCHEMES:
        try:
            basic = make_headers(proxy_basic_auth=f"{user}:{password}")
        except UnicodeEncodeError:
            raise wrong_value(source, "have a Latin-1 user name and password") from None
    bare = urlunsplit((parts.scheme, address, "", "", ""))
    return Proxy(bare, user, password, {**basic, **headers})


def _from_environment(origin: str) -> tuple[str, str]:
    """Return the environment variable that sets the proxy for an origin, and its value."""
    parts = urlsplit(origin)
    variable, value = _variable(f"{parts.scheme}_proxy")
    if not value:
        variable, value = _variable("all_proxy")
    if value:
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
        if is_exempt(parts.hostname or "", port, _variable("no_proxy")[1]):
            return variable, ""
    return variable, value


def _variable(name: str) -> tuple[str, str]:
    """Read a variable; its lower-case form takes precedence, even if it is empty."""
    for variable in (name, name.upper()):
        # In a CGI script HTTP_PROXY is the `Proxy` header of the request.
        forged = variable == "HTTP_PROXY" and "REQUEST_METHOD" in os.environ
        if variable in os.environ and not forged:
            return variable, os.environ[variable].strip()
    return name, ""


def is_exempt(host: str, port: Optional[int], no_proxy: str) -> bool:
    """Tell whether ``NO_PROXY`` exempts a host from proxies.

    Entries, separated by commas or spaces, are domains with their subdomains, IP addresses, and
    networks such as ``10.0.0.0/8``, each of all ports or of one; a single ``*`` is every host.
    """
    if no_proxy == "*":
        return True
    host = host.strip("[]").rstrip(".").lower()
    is_in = _is_in_network if _is_in_network(host, host) else _is_in_domain
    for entry in re.split(r"[\s,]+", no_proxy.lower()):
        # A port follows a single colon, or the brackets of an IPv6 address.
        match = re.fullmatch(r"(\[.*\]|[^:]*):(\d+)", entry)
        name = (match[1] if match else entry).replace("[", "").replace("]", "")
        if is_in(host, name) and (not match or int(match[2]) == port):
            return True
    return False


def _is_in_network(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def _is_in_domain(host: str, domain: str) -> bool:
    domain = domain.strip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))
