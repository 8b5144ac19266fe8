"""Code from a bucket and from an SFTP server: real servers on loopback, the real drivers."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from airside.agent.working import storage
from airside.agent.working.exceptions import CannotPrepare
from airside.agent.working.storage import places, remote

boto3 = pytest.importorskip("boto3")
moto_server = pytest.importorskip("moto.server")
pytest.importorskip("s3fs")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

KEY, SECRET = "AKIAEXAMPLE", "s3-secret-word-1"


class Bucket:
    """A bucket of moto's server, its address, and how often an object was read from it."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self.url = url

    def put(self, name: str, text: str = "x = 1\n") -> None:
        self._client.put_object(Bucket="code", Key=name, Body=text.encode())

    def storage(self, folder: str = "etl", **more: Any) -> dict[str, Any]:
        options = {"endpoint_url": self.url, "region": "us-east-1"}
        return {"kind": "fsspec", "url": f"s3://code/{folder}", "credentials": "env:ETL", "options": options, **more}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bucket]:
    moto = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    url = f"http://{host}:{port}"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("ETL", f"{KEY}:{SECRET}")
    httpx.post(f"{url}/moto-api/reset")  # what it holds is the process's
    client = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id=KEY, aws_secret_access_key=SECRET
    )
    client.create_bucket(Bucket="code")
    yield Bucket(client, url)
    client.close()
    moto.stop()


async def fetch(settings: dict[str, Any], tmp_path: Path, name: str = "run") -> storage.Code:
    into = tmp_path / name
    into.mkdir()
    return await storage.fetch(settings, into, tmp_path / "cache")


async def refused(settings: dict[str, Any], tmp_path: Path, name: str = "refused") -> str:
    """Give what the fetch said when it was refused; nothing of it may be left."""
    with pytest.raises(CannotPrepare) as caught:
        await fetch(settings, tmp_path, name)
    assert list((tmp_path / name).iterdir()) == []
    return str(caught.value)


async def test_all_files_below_a_folder_are_fetched_and_their_digest_is_the_version(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("etl/flows/load.py", "one")
    bucket.put("etl/setup.cfg", "two")
    bucket.put("etl/__pycache__/load.pyc")
    bucket.put("etl/empty/")
    bucket.put("etl-other/not.py")
    code = await fetch(bucket.storage(), tmp_path)
    there = {str(file.relative_to(code.folder)) for file in code.folder.rglob("*") if file.is_file()}
    assert there == {"flows/load.py", "setup.cfg"}
    assert (code.folder / "flows/load.py").read_text() == "one"
    assert code.version.startswith("sha256:")
    inner = await fetch(bucket.storage(folder="etl/flows"), tmp_path, "inner")
    assert inner.version != code.version
    below = await fetch({**bucket.storage(), "folder": "flows"}, tmp_path, "below")
    assert (below.folder / "load.py").read_text() == "one"


async def test_the_same_files_are_the_same_version_wherever_they_come_from(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "here/flows").mkdir(parents=True)
    for name in ("setup.py", "flows/load.py"):
        bucket.put(f"etl/{name}", name)
        (tmp_path / "here" / name).write_text(name)
    here = {"path": str(tmp_path / "here")}
    versions = {
        (await fetch(bucket.storage(), tmp_path, "bucket")).version,
        (await fetch({"kind": "folder", **here}, tmp_path, "copied")).version,
        (await fetch({"kind": "path", **here}, tmp_path, "there")).version,
    }
    assert len(versions) == 1
    (tmp_path / "here/data.csv").write_text("1")
    assert (await fetch({"kind": "path", **here}, tmp_path, "data")).version in versions
    assert (await fetch({"kind": "folder", **here}, tmp_path, "other")).version not in versions


async def test_a_version_is_fetched_once_and_a_new_one_is_fetched(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought: list[int] = []
    real = remote._Fetching._bring
    monkeypatch.setattr(
        remote._Fetching, "_bring", lambda self, listed, folder: brought.append(1) or real(self, listed, folder)
    )
    bucket.put("etl/load.py", "one")
    first = await fetch(bucket.storage(), tmp_path, "first")
    (first.folder / "load.py").write_text("changed by the run")
    second = await fetch(bucket.storage(), tmp_path, "second")
    assert ((second.folder / "load.py").read_text(), second.version) == ("one", first.version)
    assert len(brought) == 1
    bucket.put("etl/load.py", "two")
    third = await fetch(bucket.storage(), tmp_path, "third")
    assert (third.folder / "load.py").read_text() == "two"
    assert (third.version != first.version, len(brought)) == (True, 2)


async def test_runs_at_once_each_have_a_whole_copy(bucket: Bucket, tmp_path: Path) -> None:
    for number in range(5):
        bucket.put(f"etl/part{number}.py", str(number))
    codes = await asyncio.gather(*(fetch(bucket.storage(), tmp_path, f"run{number}") for number in range(6)))
    assert len({code.version for code in codes}) == 1
    assert all(len(list(code.folder.iterdir())) == 5 for code in codes)


@pytest.mark.parametrize("name", ["etl/../../evil.py", "etl/./evil.py", "etl/a\\evil.py", "etl/a\tevil.py"])
async def test_a_name_that_leads_elsewhere_is_refused_and_nothing_is_fetched(
    bucket: Bucket, tmp_path: Path, name: str
) -> None:
    bucket.put("etl/good.py")
    bucket.put(name)
    assert "leads elsewhere" in await refused(bucket.storage(), tmp_path)
    assert not list(tmp_path.rglob("evil.py"))


async def test_a_name_that_is_a_file_and_a_folder_is_refused(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("etl/a")
    bucket.put("etl/a/b.py")
    assert "a file and a folder" in await refused(bucket.storage(), tmp_path)


async def test_too_much_is_refused_before_it_is_fetched(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        bucket.put(f"etl/{number}.py", "x" * 100)
    monkeypatch.setattr(remote, "MAX_FILES", 3)
    assert "more than 3 files" in await refused(bucket.storage(), tmp_path, "files")
    monkeypatch.setattr(remote, "MAX_FILES", 10)
    monkeypatch.setattr(remote, "MAX_BYTES", 300)
    assert "give the code a folder of its own" in await refused(bucket.storage(), tmp_path, "bytes")


async def test_what_is_not_there_is_told_and_no_secret_with_it(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [
        await refused(bucket.storage("nothing"), tmp_path, "nothing"),
        await refused({**bucket.storage(), "url": "s3://no-such-bucket/etl"}, tmp_path, "bucket"),
        await refused({**bucket.storage(), "credentials": "env:NOT_SET"}, tmp_path, "variable"),
    ]
    assert "no variable NOT_SET" in said[2]
    for secret in (f'{{"key": "{KEY}", "word": "{SECRET}"}}', SECRET):
        monkeypatch.setenv("ETL", secret)
        said.append(await refused(bucket.storage(), tmp_path, f"bad{len(said)}"))
    assert all(SECRET not in text for text in said), said


async def test_code_comes_from_an_sftp_server_whose_key_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("paramiko")
    from tests.support import sftp_server

    (tmp_path / "served/etl/flows").mkdir(parents=True)
    (tmp_path / "served/etl/flows/load.py").write_text("one")
    monkeypatch.setenv("SFTP", f"{sftp_server.USER}:{sftp_server.PASSWORD}")
    monkeypatch.setenv("HOME", str(tmp_path))  # of known hosts there are none
    with sftp_server.serving(tmp_path / "served") as server:
        url = f"sftp://127.0.0.1:{server.port}/etl"
        good = {"kind": "fsspec", "url": url, "credentials": "env:SFTP", "options": {"host_key": server.host_key}}
        code = await fetch(good, tmp_path)
        assert (code.folder / "flows/load.py").read_text() == "one"
        (tmp_path / "served/etl/flows/load.py").write_text("two")
        assert ((await fetch(good, tmp_path, "again")).folder / "flows/load.py").read_text() == "two"
        count = len(server.came)
        other = "ecdsa-sha2-nistp256 AAAA"
        assert "host key" in await refused({**good, "options": {"host_key": other}}, tmp_path, "other")
        assert "known_hosts" in await refused({**good, "options": {}}, tmp_path, "unknown")
        assert len(server.came) == count  # no password was shown to a host that is not known
        monkeypatch.setenv("SFTP", f"{sftp_server.USER}:wrong-word-1")
        assert "wrong-word-1" not in await refused(good, tmp_path, "wrong")


async def test_a_server_that_hangs_holds_up_nobody_who_gives_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETL", f"{KEY}:{SECRET}")
    (tmp_path / "run").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = Bucket(None, url).storage()
        fetching = asyncio.create_task(storage.fetch(settings, tmp_path / "run", tmp_path / "cache"))
        connection, _ = await asyncio.to_thread(silent.accept)  # it has asked, and waits
        with connection:
            fetching.cancel()
            with pytest.raises(asyncio.CancelledError):
                await fetching
    assert list((tmp_path / "run").iterdir()) == []
    monkeypatch.setattr(remote, "_FETCH_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert "no answer within 0.5 s" in await refused(Bucket(None, url).storage(), tmp_path)


def test_credentials_are_read_as_each_kind_has_them() -> None:
    assert places._login("s3", "K:S:T") == {"key": "K", "secret": "S", "token": "T"}
    assert places._login("s3", '{"key": "K", "secret": "S"}') == {"key": "K", "secret": "S"}
    assert places._login("gs", '{"type": "service_account", "private_key": "p"}')["token"]["private_key"] == "p"
    assert places._login("abfs", "AccountName=a;AccountKey=Yg==") == {
        "connection_string": "AccountName=a;AccountKey=Yg=="
    }
    assert places._login("sftp", "me:pw") == {"username": "me", "password": "pw"}
    with pytest.raises(CannotPrepare, match="have no 'endpoint_url'"):
        places._login("s3", '{"endpoint_url": "http://elsewhere"}')
