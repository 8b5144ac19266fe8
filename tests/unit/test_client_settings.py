"""Where settings come from, in which order, and what is said when they cannot be read."""

from pathlib import Path

import pytest

from airside.sdk import settings
from airside.sdk.exceptions import SettingsError


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("AIRSIDE_URL", "AIRSIDE_TOKEN", "AIRSIDE_HOME"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "project" / "deep"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def test_without_anything_there_are_defaults() -> None:
    found = settings.load()
    assert (found.url, found.token) == ("http://127.0.0.1:7700", None)
    assert found.home.name == "airside"


def test_a_file_in_a_parent_folder_counts_and_the_nearest_wins(in_folder: Path) -> None:
    (in_folder.parent / "airside.toml").write_text('url = "https://plane"\nhome = "~/plane"\n[server]\nother = 1\n')
    assert settings.load().url == "https://plane"
    assert settings.load().home == Path("~/plane").expanduser()
    (in_folder / "airside.toml").write_text('token = "ast_1"\n')
    assert settings.load().url == "http://127.0.0.1:7700"


def test_the_environment_goes_before_the_file(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (in_folder / "airside.toml").write_text('url = "https://plane"\ntoken = "ast_1"\n')
    monkeypatch.setenv("AIRSIDE_URL", "http://other:1/")
    found = settings.load()
    assert found.url == "http://other:1"
    assert found.token is not None
    assert found.token.get_secret_value() == "ast_1"


def test_a_token_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRSIDE_TOKEN", "ast_secret")
    assert "ast_secret" not in repr(settings.load())
    monkeypatch.setenv("AIRSIDE_URL", "nowhere")
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert "ast_secret" not in str(caught.value)
    assert "url: must begin with http:// or https://" in str(caught.value)


def test_a_file_that_is_no_toml_is_named(in_folder: Path) -> None:
    (in_folder / "airside.toml").write_text("url = \n")
    with pytest.raises(SettingsError, match=r"deep/airside\.toml is not valid TOML"):
        settings.load()
