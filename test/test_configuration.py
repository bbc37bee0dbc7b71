"""Configuration: what it accepts, where its values come from, and that it changes nothing else."""

from __future__ import annotations

import copy
import http.client
import inspect
import logging
import math
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
import urllib3

from libica.openapi import libtes
from libica.openapi.libtes import ApiClient, ApiTypeError, ApiValueError, Configuration

SECRET = "what-nobody-may-see"
HOST = "https://use1.platform.illumina.com"


@pytest.fixture
def no_default() -> Iterator[None]:
    """Leave no default configuration behind."""
    Configuration.set_default(None)
    yield
    Configuration.set_default(None)


def hook(configuration: Configuration) -> None:
    configuration.api_key["Authorization"] = "fresh"


def with_secrets(**settings: Any) -> Configuration:
    configuration = Configuration(
        host=HOST,
        api_key={"Authorization": SECRET},
        api_key_prefix={"Authorization": "Bearer"},
        username="someone",
        password=SECRET,
    )
    configuration.proxy_headers = {"Proxy-Authorization": SECRET}
    for name, value in settings.items():
        setattr(configuration, name, value)
    return configuration


# What it has


def test_arguments_are_those_that_scripts_give_in_their_order() -> None:
    assert list(inspect.signature(Configuration).parameters) == [
        "host",
        "api_key",
        "api_key_prefix",
        "username",
        "password",
        "discard_unknown_keys",
    ]


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("host", "https://aps2.platform.illumina.com"),
        ("api_key", {}),
        ("api_key_prefix", {}),
        ("username", None),
        ("password", None),
        ("discard_unknown_keys", False),
        ("timeout", (10.0, 60.0)),
        ("retries", None),
        ("ssl_ca_cert", None),
        ("cert_file", None),
        ("key_file", None),
        ("verify_ssl", True),
        ("assert_hostname", None),
        ("proxy", None),
        ("proxy_headers", None),
        ("safe_chars_for_path_param", ""),
        ("temp_folder_path", None),
        ("client_side_validation", True),
        ("debug", False),
        ("logger_file", None),
        ("refresh_api_key_hook", None),
    ],
)
def test_defaults(name: str, default: Any) -> None:
    assert getattr(Configuration(), name) == default


def test_connections_are_kept_open_for_every_cpu() -> None:
    assert (Configuration().connection_pool_maxsize or 0) >= 5


def test_lines_of_the_log_have_time_level_and_message() -> None:
    line = Configuration().logger_format
    assert all(part in line for part in ("%(asctime)s", "%(levelname)s", "%(message)s"))


def test_arguments_become_attributes() -> None:
    configuration = Configuration(
        HOST, {"Authorization": "t"}, {"Authorization": "B"}, "u", "p", True
    )
    assert configuration.host == HOST
    assert configuration.api_key == {"Authorization": "t"}
    assert configuration.api_key_prefix == {"Authorization": "B"}
    assert (configuration.username, configuration.password) == ("u", "p")
    assert configuration.discard_unknown_keys is True


@pytest.mark.parametrize("name", ["api_key", "api_key_prefix"])
def test_dicts_are_copied(name: str) -> None:
    given = {"Authorization": "t"}
    configuration = Configuration(**{name: given})
    given["Authorization"] = "other"
    getattr(configuration, name)["more"] = "x"
    assert getattr(configuration, name) == {"Authorization": "t", "more": "x"}
    assert given == {"Authorization": "other"}


def test_two_configurations_share_no_dict() -> None:
    Configuration().api_key["Authorization"] = "t"
    assert Configuration().api_key == {}


# Hosts


@pytest.mark.parametrize(
    "host",
    [
        HOST,
        f"{HOST}/",
        "http://127.0.0.1:8080",
        "http://localhost",
        "HTTPS://HOST",
        "https://[::1]:8443",
        "https://host/with/a/prefix/",
    ],
)
def test_a_url_is_a_host(host: str) -> None:
    assert Configuration(host=host).host == host


@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        "use1.platform.illumina.com",
        "localhost:8080",
        "//host",
        "ftp://host",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://:443",
        "https://host:port",
        "https://host:99999",
        "https://host:0",
        "https://[::1",
        "https://ho st",
        "https://host\n",
        " https://host",
        "https://host\\@other",
        "https://host\x00",
        "https://user@host",
        "https://user:password@host",
        "https://host?a=b",
        "https://host?",
        "https://host#part",
        "https://<region>.platform.illumina.com",
        "https://${ICA_HOST}",
        '"https://host"',
        "https://host#",
    ],
)
def test_what_is_no_usable_url_is_refused_as_a_host(host: str) -> None:
    with pytest.raises(ApiValueError, match="`host`"):
        Configuration(host=host)


@pytest.mark.parametrize("host", [None, 5, b"https://host", ["https://host"]])
def test_a_host_of_the_wrong_type_is_refused(host: Any) -> None:
    with pytest.raises(ApiTypeError, match="`host`, must be str"):
        Configuration(host=host)


def test_a_host_is_checked_when_set_and_a_refused_one_leaves_the_old() -> None:
    configuration = Configuration(host=HOST)
    with pytest.raises(ApiValueError, match="`host`"):
        configuration.host = "host"
    assert configuration.host == HOST


def test_a_refused_host_is_not_shown_since_it_may_hold_a_password() -> None:
    with pytest.raises(ApiValueError) as caught:
        Configuration(host=f"https://user:{SECRET}@host")
    assert SECRET not in str(caught.value)


# Time-outs


@pytest.mark.parametrize(
    "timeout", [1, 0.5, 1e-3, 3600, (1, 2), (0.5, None), (None, 2), (None, None), None]
)
def test_seconds_a_pair_of_them_or_none_is_a_timeout(timeout: Any) -> None:
    configuration = Configuration()
    configuration.timeout = timeout
    assert configuration.timeout == timeout


def test_a_list_may_stand_for_a_pair_of_timeouts() -> None:
    configuration = Configuration()
    configuration.timeout = [1, 2]
    assert configuration.timeout == (1, 2)


@pytest.mark.parametrize(
    "timeout", [0, -1, 0.0, math.inf, math.nan, (), (1,), (1, 2, 3), (0, 1), (1, -1), (1, math.inf)]
)
def test_what_is_no_time_to_wait_is_refused(timeout: Any) -> None:
    configuration = Configuration()
    with pytest.raises(ApiValueError, match="`timeout`, must be positive seconds"):
        configuration.timeout = timeout
    assert configuration.timeout == (10, 60)


@pytest.mark.parametrize("timeout", ["5", True, False, {}, {1, 2}, b"5", ("1", 2), (1, True)])
def test_a_timeout_of_the_wrong_type_is_refused(timeout: Any) -> None:
    with pytest.raises(ApiTypeError, match="`timeout`, must be positive seconds"):
        Configuration().timeout = timeout


# The token


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
def test_the_key_comes_after_its_prefix(key: Any, prefix: Any, expected: Any) -> None:
    configuration = Configuration(api_key=key, api_key_prefix=prefix)
    assert configuration.get_api_key_with_prefix("Authorization") == expected


def test_a_key_may_be_set_and_changed_later() -> None:
    configuration = Configuration()
    configuration.api_key["Authorization"] = "t"
    configuration.api_key_prefix["Authorization"] = "Bearer"
    assert configuration.get_api_key_with_prefix("Authorization") == "Bearer t"


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r", "\nX-Other: y", "\x00", "\x7f", "\u20ac"])
def test_a_key_that_cannot_be_a_header_is_refused(ending: str) -> None:
    configuration = Configuration(api_key={"Authorization": SECRET + ending})
    with pytest.raises(ApiValueError, match=r"Authorization.*no line break") as caught:
        configuration.get_api_key_with_prefix("Authorization")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("ending", ["\n", "\r\nX-Other: y"])
def test_a_prefix_that_cannot_be_a_header_is_refused(ending: str) -> None:
    configuration = Configuration(
        api_key={"Authorization": "t"}, api_key_prefix={"Authorization": f"Bearer{ending}"}
    )
    with pytest.raises(ApiValueError, match=r"Authorization.*no line break"):
        configuration.auth_settings()


@pytest.mark.parametrize("key", [5, b"bytes", ["t"], {"access_token": "t"}])
def test_a_key_of_the_wrong_type_is_refused(key: Any) -> None:
    configuration = Configuration(api_key={"Authorization": key})
    with pytest.raises(ApiTypeError, match=r"Authorization.*must be str"):
        configuration.get_api_key_with_prefix("Authorization")


def test_auth_settings_has_the_header_and_its_value() -> None:
    assert with_secrets().auth_settings() == {
        "Bearer": {
            "type": "api_key",
            "in": "header",
            "key": "Authorization",
            "value": f"Bearer {SECRET}",
        }
    }


def test_auth_settings_is_empty_without_a_token() -> None:
    assert Configuration().auth_settings() == {}


@pytest.mark.parametrize("token", ["t", None])
def test_the_hook_is_left_to_the_client_to_ask(token: Optional[str]) -> None:
    configuration = Configuration(api_key={"Authorization": token} if token else None)
    configuration.refresh_api_key_hook = hook
    assert configuration.get_api_key_with_prefix("Authorization") == token


# The environment


def test_a_hook_that_cannot_be_called_is_refused() -> None:
    configuration = Configuration()
    with pytest.raises(ApiTypeError, match="`refresh_api_key_hook`, must be a function"):
        configuration.refresh_api_key_hook = "token"  # type: ignore[assignment]
    assert configuration.refresh_api_key_hook is None


def test_from_env_reads_host_and_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICA_BASE_URL", HOST)
    monkeypatch.setenv("ICA_ACCESS_TOKEN", "t")
    configuration = Configuration.from_env()
    assert configuration.host == HOST
    assert configuration.get_api_key_with_prefix("Authorization") == "Bearer t"


def test_from_env_takes_a_token_with_its_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICA_BASE_URL", HOST)
    monkeypatch.setenv("ICA_ACCESS_TOKEN", "Bearer t")
    token = Configuration.from_env().get_api_key_with_prefix("Authorization")
    assert token == "Bearer t"


@pytest.mark.parametrize("absent", [None, ""])
@pytest.mark.parametrize(
    "missing", [["ICA_BASE_URL"], ["ICA_ACCESS_TOKEN"], ["ICA_BASE_URL", "ICA_ACCESS_TOKEN"]]
)
def test_from_env_names_the_variables_that_are_missing(
    missing: list[str], absent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("ICA_BASE_URL", HOST), ("ICA_ACCESS_TOKEN", "t")):
        monkeypatch.setenv(name, absent or "" if name in missing else value)
        if name in missing and absent is None:
            monkeypatch.delenv(name)
    with pytest.raises(ApiValueError) as caught:
        Configuration.from_env()
    named = [name for name in ("ICA_BASE_URL", "ICA_ACCESS_TOKEN") if name in str(caught.value)]
    assert named == missing


def test_from_env_refuses_a_host_without_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICA_BASE_URL", "use1.platform.illumina.com")
    monkeypatch.setenv("ICA_ACCESS_TOKEN", "t")
    with pytest.raises(ApiValueError, match="`host`"):
        Configuration.from_env()


def test_other_configurations_do_not_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICA_BASE_URL", HOST)
    monkeypatch.setenv("ICA_ACCESS_TOKEN", "t")
    configuration = Configuration()
    assert (configuration.host, configuration.api_key) == ("https://aps2.platform.illumina.com", {})


# The default


@pytest.mark.usefixtures("no_default")
def test_without_a_default_a_copy_of_it_is_a_new_configuration() -> None:
    assert vars(Configuration.get_default_copy()) == vars(Configuration())


@pytest.mark.usefixtures("no_default")
def test_the_default_is_given_as_copies() -> None:
    Configuration.set_default(with_secrets())
    one, other = Configuration.get_default_copy(), Configuration.get_default_copy()
    one.api_key["Authorization"] = "changed"
    assert vars(other) == vars(with_secrets())


@pytest.mark.usefixtures("no_default")
def test_the_default_is_kept_as_a_copy() -> None:
    configuration = with_secrets()
    Configuration.set_default(configuration)
    configuration.api_key["Authorization"] = "changed"
    assert Configuration.get_default_copy().api_key == {"Authorization": SECRET}


@pytest.mark.usefixtures("no_default")
def test_the_default_can_be_forgotten() -> None:
    Configuration.set_default(with_secrets())
    Configuration.set_default(None)
    assert Configuration.get_default_copy().api_key == {}


@pytest.mark.usefixtures("no_default")
def test_a_new_configuration_does_not_take_after_the_default() -> None:
    Configuration.set_default(with_secrets())
    assert Configuration().api_key == {}


@pytest.mark.usefixtures("no_default")
def test_a_client_without_configuration_takes_a_copy_of_the_default() -> None:
    Configuration.set_default(with_secrets())
    with ApiClient() as client:
        assert vars(client.configuration) == vars(with_secrets())


# Copying


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy])
def test_a_copy_has_all_settings_the_token_included(twin: Any) -> None:
    configuration = with_secrets(timeout=5, retries=urllib3.Retry(7), debug=True)
    assert vars(twin(configuration)).keys() == vars(configuration).keys()
    assert twin(configuration).auth_settings() == configuration.auth_settings()
    assert (twin(configuration).timeout, twin(configuration).retries.total) == (5, 7)


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy])
def test_a_copy_can_be_changed_alone(twin: Any) -> None:
    configuration = with_secrets()
    changed = twin(configuration)
    changed.host = "https://other"
    changed.timeout = None
    changed.api_key = {"Authorization": "other"}
    assert vars(configuration) == vars(with_secrets())


def test_a_deep_copy_shares_no_dict() -> None:
    configuration = with_secrets()
    copy.deepcopy(configuration).api_key["Authorization"] = "other"
    assert configuration.api_key == {"Authorization": SECRET}


def test_a_copy_shares_the_hook_which_need_not_be_copyable() -> None:
    class Tokens:
        def __init__(self) -> None:
            self.lock = threading.Lock()

        def refresh(self, configuration: Configuration) -> None:
            with self.lock:
                hook(configuration)

    refresh = Tokens().refresh
    twin = copy.deepcopy(with_secrets(refresh_api_key_hook=refresh))
    assert twin.refresh_api_key_hook == refresh


def test_a_copy_of_a_subclass_is_of_the_subclass() -> None:
    class Mine(Configuration):
        pass

    assert type(copy.deepcopy(Mine())) is Mine


# Secrets


@pytest.mark.parametrize(
    "proxy",
    [
        f"http://user:{SECRET}@proxy:8080",
        f"http://{SECRET}@proxy:8080",
        f"http://user:a@b@{SECRET}@proxy:8080",
        f"user:{SECRET}@proxy:8080",
    ],
)
def test_a_pickle_has_no_password_of_the_proxy(proxy: str) -> None:
    configuration = Configuration()
    configuration.proxy = proxy
    pickled = pickle.dumps(configuration)
    assert SECRET.encode() not in pickled
    assert "proxy:8080" in (pickle.loads(pickled).proxy or "")


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_has_no_secrets(protocol: int) -> None:
    assert SECRET.encode() not in pickle.dumps(with_secrets(), protocol)


def test_a_pickle_has_all_that_is_no_secret() -> None:
    configuration = with_secrets(timeout=5, proxy="http://proxy:8080", refresh_api_key_hook=hook)
    blank = {"api_key": {}, "password": None, "proxy_headers": None}
    twin = pickle.loads(pickle.dumps(configuration))
    assert vars(twin) == {**vars(configuration), **blank}


def test_a_pickle_has_the_hook_that_gets_its_reader_a_token() -> None:
    twin = pickle.loads(pickle.dumps(with_secrets(refresh_api_key_hook=hook)))
    assert twin.refresh_api_key_hook is hook


def test_pickling_changes_nothing() -> None:
    configuration = with_secrets(proxy="http://user:pw@proxy:8080")
    before = dict(vars(configuration))
    pickle.dumps(configuration)
    assert vars(configuration) == before


@pytest.mark.parametrize("text", [repr, str, Configuration.to_debug_report])
def test_texts_have_no_secrets(text: Any) -> None:
    assert SECRET not in text(with_secrets(proxy=f"http://user:{SECRET}@proxy:8080"))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ({"Authorization": "t"}, f"<Configuration '{HOST}' with a token>"),
        ({}, f"<Configuration '{HOST}' without a token>"),
    ],
)
def test_repr_tells_host_and_whether_there_is_a_token(key: Any, expected: str) -> None:
    assert repr(Configuration(host=HOST, api_key=key)) == expected


@pytest.mark.parametrize("part", ["Debug Report", "OS: ", "Python Version: ", libtes.__version__])
def test_the_debug_report_tells_the_versions(part: str) -> None:
    assert part in Configuration().to_debug_report()


# Nothing else


def test_a_configuration_changes_no_logging_and_no_module(tmp_path: Path) -> None:
    names = ["", "urllib3", "client", "libica", "libica.openapi.libtes"]

    def state() -> list[Any]:
        loggers = [logging.getLogger(name) for name in names]
        return [
            http.client.HTTPConnection.debuglevel,
            *((each.level, each.disabled, list(each.handlers)) for each in loggers),
            list(tmp_path.iterdir()),
        ]

    before = state()
    configuration = Configuration()
    configuration.debug = True
    configuration.logger_file = str(tmp_path / "log")
    configuration.logger_format = "%(message)s"
    ApiClient(configuration).close()
    assert state() == before
