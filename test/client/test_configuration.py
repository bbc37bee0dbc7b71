"""Configuration: what it accepts, where its values come from, and that it changes nothing else."""

from __future__ import annotations

import copy
import inspect
import math
import pickle
import threading
from functools import partial
from typing import Any, Optional

import pytest
import urllib3

from libica.openapi import libtes
from libica.openapi.libtes import ApiClient, ApiTypeError, ApiValueError, Configuration

SECRET = "what-nobody-may-see"
HOST = "https://use1.platform.illumina.com"


def hook(configuration: Configuration, lock: object = None) -> None:
    configuration.api_key["Authorization"] = "fresh"


def with_secrets(**settings: Any) -> Configuration:
    key, prefix = {"Authorization": SECRET}, {"Authorization": "Bearer"}
    configuration = Configuration(HOST, key, prefix, "someone", SECRET)
    configuration.proxy_headers = {"Proxy-Authorization": SECRET}
    for name, value in settings.items():
        setattr(configuration, name, value)
    return configuration


# -- Settings --------------------------------------------------------------------------------------

UNSET = "ssl_ca_cert cert_file key_file assert_hostname proxy proxy_headers temp_folder_path"
DEFAULTS: dict[str, Any] = {
    "host": "https://aps2.platform.illumina.com",
    "api_key": {},
    "api_key_prefix": {},
    "username": None,
    "password": None,
    "discard_unknown_keys": False,
    **dict.fromkeys((*UNSET.split(), "retries", "logger_file", "refresh_api_key_hook")),
    **{"timeout": (10.0, 60.0), "max_response_bytes": 64 * 2**20, "safe_chars_for_path_param": ""},
    **{"verify_ssl": True, "client_side_validation": True, "debug": False, "show_locals": False},
}
VALID: dict[str, tuple[Any, ...]] = {
    "host": (f"{HOST}/", "http://127.0.0.1:8080", "HTTPS://HOST", "https://[::1]:8443/a/prefix/"),
    "timeout": (1, 0.5, 1e-3, 1_000_000, (1, 2), (0.5, None), (None, None), None),
    "connection_pool_maxsize": (1, 10_000, None),
    "max_response_bytes": (1, 2**40, None),
    "safe_chars_for_path_param": ("/", ""),
}
INVALID: list[tuple[str, type[Exception], str, tuple[Any, ...]]] = [
    ("host", ApiTypeError, "be str", (None, 5, b"https://host", ["https://host"])),
    ("timeout", ApiTypeError, "be positive seconds", ("5", True, {}, {1, 2}, b"5", (1, True))),
    ("timeout", ApiValueError, "be positive seconds", (0, -1, math.inf, math.nan, 1_000_001)),
    ("timeout", ApiValueError, "be positive seconds", ((), (1,), (1, 2, 3), (0, 1), (1, -1))),
    ("refresh_api_key_hook", ApiTypeError, "be a function", ("token", 5)),
    ("api_key", ApiTypeError, "be a dict", ("token", ["t"], None)),
    ("proxy", ApiTypeError, "be str or None", (5, b"http://p")),
    ("proxy_headers", ApiTypeError, "be a dict or None", ("x", [1])),
    ("ssl_ca_cert", ApiTypeError, "be a path or None", (5, b"f")),
    ("connection_pool_maxsize", ApiTypeError, "be int or None", ("5", 1.5, True)),
    ("connection_pool_maxsize", ApiValueError, "be 1 to 10000", (0, -1, 10_001)),
    ("max_response_bytes", ApiValueError, "be 1 to", (0, -1, 2**40 + 1)),
    ("safe_chars_for_path_param", ApiTypeError, "be str", (None, 5)),
    ("safe_chars_for_path_param", ApiValueError, "not have", ("?", "/#", "%")),
    ("show_locals", ApiTypeError, "be bool", (1, "yes", None)),
]


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICA_BASE_URL", HOST)  # which from_env alone reads
    monkeypatch.setenv("ICA_ACCESS_TOKEN", "t")
    settings = vars(Configuration())
    assert {name: settings[name] for name in DEFAULTS} == DEFAULTS
    assert settings.keys() - DEFAULTS.keys() == {"connection_pool_maxsize", "logger_format"}
    assert settings["connection_pool_maxsize"] >= 5
    parts = ("%(asctime)s", "%(levelname)s", "%(message)s")
    assert all(part in settings["logger_format"] for part in parts)


def test_arguments_become_attributes_in_the_order_that_scripts_use() -> None:
    given: list[Any] = [HOST, {"Authorization": "t"}, {"Authorization": "B"}, "u", "p", True]
    configuration = Configuration(*given)
    names = list(inspect.signature(Configuration).parameters)
    assert names == list(DEFAULTS)[:6]
    assert [getattr(configuration, name) for name in names] == given
    given[1]["Authorization"] = given[2]["Authorization"] = "other"  # which are copied
    assert configuration.get_api_key_with_prefix("Authorization") == "B t"
    Configuration().api_key["Authorization"] = "t"
    assert Configuration().api_key == {}


NO_HOSTS = [
    *("", " ", "use1.platform.illumina.com", "localhost:8080", "//host", "ftp://host"),
    *("file:///etc/passwd", "https://", "https:///path", "https://:443", "https://host:port"),
    *("https://host:99999", "https://host:0", "https://[::1", "https://ho st"),
    *("https://host\n", " https://host", "https://host\\@other", "https://host\x00"),
    *("https://user@host", f"https://user:{SECRET}@host", "https://host?a=b", "https://host?"),
    *("https://host#part", "https://host#", "https://<region>.platform.illumina.com"),
    *("https://${ICA_HOST}", '"https://host"'),
]


@pytest.mark.parametrize("host", NO_HOSTS)
def test_what_is_no_usable_url_is_refused_as_a_host(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ICA_ACCESS_TOKEN", "t")
    if "\x00" not in host and host:  # which no variable can hold
        monkeypatch.setenv("ICA_BASE_URL", host)
        with pytest.raises(ApiValueError, match="`host`"):
            Configuration.from_env()
    configuration = Configuration(HOST)
    with pytest.raises(ApiValueError, match="`host`") as caught:
        configuration.host = host
    assert configuration.host == HOST
    assert SECRET not in str(caught.value)  # it may hold a password


@pytest.mark.parametrize(("name", "error", "accepted", "wrong"), INVALID)
def test_an_invalid_setting_is_named_and_leaves_the_old(
    name: str, error: type[Exception], accepted: str, wrong: Any
) -> None:
    configuration = Configuration()
    before = dict(vars(configuration))
    for value in wrong:
        with pytest.raises(error, match=f"`{name}`, must {accepted}"):
            setattr(configuration, name, value)
    assert vars(configuration) == before


def test_a_valid_setting_is_kept() -> None:
    configuration = Configuration()
    for name, values in VALID.items():
        for value in values:
            setattr(configuration, name, value)
            assert getattr(configuration, name) == value
    configuration.timeout = [1, 2]  # type: ignore[assignment]  # a list may stand for a pair
    assert configuration.timeout == (1, 2)


# -- The token -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "prefix", "expected"),
    [
        ({"Authorization": "t"}, {"Authorization": "Bearer"}, "Bearer t"),
        ({"Authorization": "Bearer t"}, {}, "Bearer t"),
        ({"Authorization": "t"}, {"Other": "Bearer"}, "t"),
        ({"Authorization": "t"}, {"Authorization": ""}, "t"),
        ({"Authorization": ""}, {"Authorization": "Bearer"}, None),
        ({"Other": "t"}, {"Authorization": "Bearer"}, None),
        ({}, {}, None),
    ],
)
def test_the_key_comes_after_its_prefix(key: Any, prefix: Any, expected: Optional[str]) -> None:
    configuration = Configuration()
    configuration.refresh_api_key_hook = hook  # which is left to the client to call
    configuration.api_key.update(key)
    configuration.api_key_prefix.update(prefix)
    assert configuration.get_api_key_with_prefix("Authorization") == expected
    header = {"type": "api_key", "in": "header", "key": "Authorization", "value": expected}
    assert configuration.auth_settings() == ({"Bearer": header} if expected else {})


# -- The environment and the default ---------------------------------------------------------------


def test_from_env_reads_host_and_token_and_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ["ICA_BASE_URL", "ICA_ACCESS_TOKEN"]
    for token in ("Bearer t", "t"):
        for name, value in zip(names, (HOST, token)):
            monkeypatch.setenv(name, value)
        configuration = Configuration.from_env()
        assert configuration.host == HOST
        assert configuration.get_api_key_with_prefix("Authorization") == "Bearer t"
    for missing in (names[:1], names[1:], names):
        with monkeypatch.context() as patch:
            for change in (lambda name: patch.setenv(name, ""), patch.delenv):
                for name in missing:
                    change(name)
                with pytest.raises(ApiValueError) as caught:
                    Configuration.from_env()
                assert [name for name in names if name in str(caught.value)] == missing


def test_the_default_is_kept_and_given_as_copies(request: pytest.FixtureRequest) -> None:
    request.addfinalizer(lambda: Configuration.set_default(None))
    assert vars(Configuration.get_default_copy()) == vars(Configuration())
    given = with_secrets()
    Configuration.set_default(given)
    given.api_key["Authorization"] = "changed"
    apis = (libtes.TasksApi, libtes.TaskVersionsApi, libtes.TaskRunsApi)
    for client in (ApiClient(), *(api().api_client for api in apis)):
        assert vars(client.configuration) == vars(with_secrets())
        client.configuration.api_key["Authorization"] = "changed"
    assert Configuration().api_key == {}  # a new one has nothing of the default
    Configuration.set_default(None)
    assert Configuration.get_default_copy().api_key == {}


# -- Copies ----------------------------------------------------------------------------------------


class Mine(Configuration):
    """The settings of some package on top of this one."""


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy])
def test_a_copy_has_class_and_settings_and_can_be_changed_alone(twin: Any) -> None:
    configuration = Mine(HOST, {"Authorization": SECRET})
    configuration.timeout, configuration.retries = 5, urllib3.Retry(7)
    configuration.refresh_api_key_hook = partial(hook, lock=threading.Lock())  # not to be copied
    before = {**vars(configuration), "api_key": dict(configuration.api_key)}
    changed = twin(configuration)
    assert (type(changed), changed.retries.total) == (Mine, 7)
    assert {**vars(changed), "retries": None} == {**before, "retries": None}
    changed.host, changed.timeout = "https://other", None
    changed.api_key["Authorization"] = "other"
    assert vars(configuration) == before


# -- Secrets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proxy", "pickled"),
    [
        (f"http://user:{SECRET}@proxy:8080", "http://proxy:8080"),
        (f"http://user:a@b@{SECRET}@proxy:8080", "http://proxy:8080"),
        (f"user:{SECRET}@proxy:8080", "proxy:8080"),
        ("http://proxy:8080", "http://proxy:8080"),
        (None, None),
    ],
)
def test_a_pickle_has_all_settings_but_no_secret(proxy: Any, pickled: Any) -> None:
    configuration = with_secrets(show_locals=True, proxy=proxy, refresh_api_key_hook=hook)
    before = dict(vars(configuration))
    blank = {"api_key": {}, "password": None, "proxy_headers": None, "proxy": pickled}
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps(configuration, protocol)
        assert SECRET.encode() not in data
        assert vars(pickle.loads(data)) == {**before, **blank}
    assert vars(configuration) == before


def test_texts_have_no_secrets_but_what_a_bug_report_needs() -> None:
    configuration = with_secrets(proxy=f"http://user:{SECRET}@proxy:8080")
    report = configuration.to_debug_report()
    for part in ("Debug Report", "OS: ", "Python Version: ", libtes.__version__):
        assert part in report
    assert repr(configuration) == str(configuration) == f"<Configuration '{HOST}' with a token>"
    assert repr(Configuration(HOST)) == f"<Configuration '{HOST}' without a token>"
    assert SECRET not in report
