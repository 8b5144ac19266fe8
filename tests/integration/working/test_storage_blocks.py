"""Logins of storages that are blocks of a real server: S3, SFTP by password and by key, and what fits where."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest
from tests.integration.working.test_storage_remote import KEY, SECRET, Bucket, bucket
from tests.support import azurite, sftp_server
from tests.support.up import Up

from airside.agent.working import storage
from airside.agent.working.exceptions import CannotPrepare
from airside.agent.working.storage import places
from airside.agent.working.storage.credentials import Login

__all__ = ["bucket"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    server = Up(tmp_path_factory.mktemp("storage-blocks") / "home").start()
    yield server
    server.stop()


def keep(up: Up, name: str, kind: str, **fields: Any) -> None:
    with up.client() as client:
        client.put(f"/api/blocks/{name}", json={"type": kind, "fields": fields}).raise_for_status()


async def fetch(up: Up, tmp_path: Path, settings: dict[str, Any], name: str = "run") -> tuple[storage.Code, set[str]]:
    """Fetch as an agent of this server does; gives the code, and what is to be hidden from then on."""
    hidden: set[str] = set()
    (tmp_path / name).mkdir()
    plane = {"AIRSIDE_URL": up.url}
    code = await storage.fetch(settings, tmp_path / name, tmp_path / "cache", plane=plane, hide=hidden.update)
    return code, hidden


def is_nowhere(secret: str, folder: Path) -> bool:
    return not any(secret.encode() in file.read_bytes() for file in folder.rglob("*") if file.is_file())


async def test_a_bucket_is_read_with_a_block_that_says_where_it_is_too(up: Up, bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("etl/load.py", "one")
    keep(up, "lake", "s3", key=KEY, secret=SECRET, endpoint_url=bucket.url, region="us-east-1")
    elsewhere = {"endpoint_url": "http://127.0.0.1:9"}
    settings = {"kind": "fsspec", "url": "s3://code/etl", "credentials": "block:lake", "options": elsewhere}
    code, hidden = await fetch(up, tmp_path, settings)
    assert (code.folder / "load.py").read_text() == "one"
    assert hidden == {SECRET}
    assert is_nowhere(SECRET, tmp_path)


async def test_one_text_of_a_block_serves_as_a_variable_does(up: Up, bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("etl/load.py", "one")
    keep(up, "login", "secret", value=f"{KEY}:{SECRET}")
    for number, name in enumerate(("block:login", "block:login.value")):
        code, hidden = await fetch(up, tmp_path, {**bucket.storage(), "credentials": name}, f"run{number}")
        assert (code.folder / "load.py").read_text() == "one"
        assert hidden == {f"{KEY}:{SECRET}", SECRET}


@pytest.mark.parametrize("way", ["password", "key", "key with a passphrase"])
async def test_an_sftp_server_is_read_with_a_block(
    up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "served/etl").mkdir(parents=True)
    (tmp_path / "served/etl/load.py").write_text("one")
    key, written = paramiko.ECDSAKey.generate(), io.StringIO()
    passphrase = "sftp-pass-phrase-1" if "passphrase" in way else None
    key.write_private_key(written, passphrase)
    login = {"private_key": written.getvalue()} | ({"passphrase": passphrase} if passphrase else {})
    login = login if "key" in way else {"password": sftp_server.PASSWORD}
    with sftp_server.serving(tmp_path / "served", key.get_base64()) as server:
        keep(up, "files", "sftp", username=sftp_server.USER, **login)
        url = f"sftp://127.0.0.1:{server.port}/etl"
        settings = {
            "kind": "fsspec",
            "url": url,
            "credentials": "block:files",
            "options": {"host_key": server.host_key},
        }
        code, hidden = await fetch(up, tmp_path, settings)
        assert (code.folder / "load.py").read_text() == "one"
        assert server.came == [sftp_server.USER]
        assert set(login.values()) <= hidden
        keep(up, "files", "sftp", username=sftp_server.USER, private_key="-----BEGIN what is no key")
        with pytest.raises(CannotPrepare, match="the private key cannot be read"):
            await fetch(up, tmp_path, settings, "broken")


@pytest.mark.parametrize(
    ("family", "kind", "fields", "place", "login"),
    [
        ("gs", "gcs", {"service_account": '{"private_key": "p"}'}, {}, {"token": {"private_key": "p"}}),
        ("abfs", "azure", {"connection_string": "c"}, {}, {"connection_string": "c"}),
        (
            "abfs",
            "azure",
            {"account_name": "a", "tenant_id": "t", "client_id": "i", "client_secret": "s"},
            {"account_name": "a"},
            {"tenant_id": "t", "client_id": "i", "client_secret": "s"},
        ),
    ],
)
def test_each_driver_is_given_its_own_names(
    family: str, kind: str, fields: dict[str, Any], place: dict[str, Any], login: dict[str, Any]
) -> None:
    assert places._of_block(family, Login(type=kind, fields=fields)) == (place, login)
    with pytest.raises(CannotPrepare, match=f"{family}://: the block must be of type {kind} or secret; it is git"):
        places._of_block(family, Login(type="git", fields={"token": "x"}))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("block:none", "the server has no block `none`: `airside blocks set none` makes it"),
        ("block:table", "the block must be of type git or secret; it is json"),
        ("block:table.value", "the block has no such field that is a text"),
        ("block:code.password", "the block has no such field that is a text"),
        ("code", "credentials must be block:NAME, of the server, or env:NAME"),
    ],
)
async def test_what_does_not_fit_is_said(up: Up, tmp_path: Path, name: str, said: str) -> None:
    keep(up, "table", "json", value=["a"])
    keep(up, "code", "git", token="canary-token-1")
    with pytest.raises(CannotPrepare) as caught:
        await fetch(up, tmp_path, {"kind": "git", "url": "http://127.0.0.1:9/x", "credentials": name})
    assert said in str(caught.value)
    assert "canary" not in str(caught.value)


async def test_without_a_server_there_are_no_blocks(tmp_path: Path) -> None:
    for plane in ({}, {"AIRSIDE_URL": "nats://127.0.0.1:9"}):
        with pytest.raises(CannotPrepare, match="set AIRSIDE_URL to where it answers"):
            await storage.fetch({"kind": "git", "url": "x", "credentials": "block:code"}, tmp_path, plane=plane)


@pytest.mark.azurite
async def test_a_container_of_azure_is_read_with_a_block(up: Up, tmp_path: Path) -> None:
    with azurite.serving(tmp_path) as account:
        account.put("etl/load.py", "one")
        keep(up, "azure", "azure", connection_string=account.connection())
        settings = {"kind": "fsspec", "url": "abfs://code/etl", "credentials": "block:azure"}
        code, hidden = await fetch(up, tmp_path, settings)
        assert (code.folder / "load.py").read_text() == "one"
        assert azurite.KEY in hidden
