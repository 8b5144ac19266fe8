"""`airside.toml`: what it may say, and what is said of the rest."""

from pathlib import Path

import pytest

from airside.agent.watching import plans
from airside.coordinator.outbound import OutboundSettings
from airside.coordinator.settings import ServerSettings
from airside.coordinator.settings_file import CLIENT_KEYS, UnknownSetting
from airside.sdk.emitting import settings as emitting
from airside.sdk.settings import ClientSettings


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("prot = 7800", "unknown key `prot`; did you mean `port`?"),
        ("colour = 'red'", "unknown key `colour`"),
        (
            "http_max_body_bytes = 5",
            "`http_max_body_bytes` is read from the variable AIRSIDE_HTTP_MAX_BODY_BYTES alone",
        ),
        ("[server]\nport = 7800", "unknown key `server`"),
    ],
)
def test_a_key_that_nobody_reads_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, said: str
) -> None:
    (tmp_path / "airside.toml").write_text(line)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownSetting) as caught:
        ServerSettings()
    assert said in str(caught.value)
    assert str(tmp_path / "airside.toml") in str(caught.value)


def test_the_keys_of_all_who_read_the_file_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ("port = 7801", "url = 'http://127.0.0.1:7801'", "spool = 'x'", "allow_http = true", "[aliases]")
    (tmp_path / "airside.toml").write_text("\n".join(lines))
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert ServerSettings().port == 7801
    assert OutboundSettings().allow_http


def test_the_list_of_the_client_s_keys_is_whole() -> None:
    assert {*ClientSettings.model_fields, *emitting.NAMES, plans.TABLE} == CLIENT_KEYS
