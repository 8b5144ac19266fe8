"""Azurite: the emulator of Azure's storage that its makers ship, as a process on loopback."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

#: Read before the tests clear such variables.
GIVEN: Final = os.environ.get("AIRSIDE_TEST_AZURITE") or shutil.which("azurite-blob")
ACCOUNT: Final = "devstoreaccount1"
#: The key that every Azurite has, as its documentation says.
KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_START_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Azurite:
    """One Azurite with a container `code`."""

    port: int

    def connection(self, key: str = KEY) -> str:
        """Give the connection string, as the portal writes one."""
        endpoint = f"http://127.0.0.1:{self.port}/{ACCOUNT}"
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};BlobEndpoint={endpoint};"

    def put(self, name: str, text: str) -> None:
        with self._container() as container:
            container.upload_blob(name, text.encode(), overwrite=True)

    def create(self) -> None:
        with self._container() as container:
            container.create_container()

    def _container(self) -> Any:
        from azure.storage.blob import ContainerClient

        return ContainerClient.from_connection_string(self.connection(), "code")


@contextmanager
def serving(folder: Path) -> Iterator[Azurite]:
    """Start one, or skip."""
    pytest.importorskip("adlfs")
    if not GIVEN or not Path(GIVEN).exists():
        pytest.skip("there is no azurite-blob: npm install azurite, and AIRSIDE_TEST_AZURITE=…/azurite-blob")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    # The client may speak a newer version of the protocol than Azurite has heard of.
    options = ("--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck", "--blobPort", str(port))
    with (folder / "azurite.log").open("w") as said:
        process = subprocess.Popen([GIVEN, "--blobHost", "127.0.0.1", *options], stdout=said, stderr=said, cwd=folder)
    try:
        _until_it_answers(port, process, folder / "azurite.log")
        azurite = Azurite(port)
        azurite.create()
        yield azurite
    finally:
        process.terminate()
        process.wait(60)


def _until_it_answers(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
