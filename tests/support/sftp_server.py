"""An SFTP server on loopback that shows a folder, made of paramiko's server half."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

USER, PASSWORD = "deploy", "sftp-pass-word-1"


@dataclass
class SftpServer:
    """Where it answers, the key of the host, and the users that came."""

    port: int
    host_key: str
    came: list[str] = field(default_factory=list)
    #: The public key that logs in beside the password, as base64.
    user_key: str = ""


class _Users(paramiko.ServerInterface):
    def __init__(self, server: SftpServer) -> None:
        self._server = server

    def check_auth_password(self, username: str, password: str) -> int:
        self._server.came.append(username)
        good = (username, password) == (USER, PASSWORD)
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = (username, key.get_base64()) == (USER, self._server.user_key)
        if good and self._server.came[-1:] != [username]:  # asked twice: whether it would do, and signed
            self._server.came.append(username)
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def get_allowed_auths(self, username: str) -> str:
        return "password,publickey"


def _files(folder: Path) -> type[paramiko.SFTPServerInterface]:
    class Files(paramiko.SFTPServerInterface):
        def list_folder(self, path: str) -> Any:
            try:
                return [self._described(folder / path.lstrip("/") / name) for name in self._names(path)]
            except OSError as error:
                return paramiko.SFTPServer.convert_errno(error.errno)

        def stat(self, path: str) -> Any:
            try:
                return self._described(folder / path.lstrip("/"))
            except OSError as error:
                return paramiko.SFTPServer.convert_errno(error.errno)

        lstat = stat

        def open(self, path: str, flags: int, attr: Any) -> Any:
            handle = paramiko.SFTPHandle(flags)
            try:
                handle.readfile = (folder / path.lstrip("/")).open("rb")
            except OSError as error:
                return paramiko.SFTPServer.convert_errno(error.errno)
            return handle

        def _names(self, path: str) -> list[str]:
            return sorted(file.name for file in (folder / path.lstrip("/")).iterdir())

        def _described(self, path: Path) -> Any:
            found = paramiko.SFTPAttributes.from_stat(path.stat())
            found.filename = path.name
            return found

    return Files


@contextmanager
def serving(folder: Path, user_key: str = "") -> Iterator[SftpServer]:
    """Serve a folder until the end of the block, to the password and to a key, if one is given."""
    key = paramiko.ECDSAKey.generate()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = SftpServer(listening.getsockname()[1], f"{key.get_name()} {key.get_base64()}", user_key=user_key)
        transports: list[paramiko.Transport] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    transport = paramiko.Transport(connection)
                    transport.add_server_key(key)
                    transport.set_subsystem_handler("sftp", paramiko.SFTPServer, sftp_si=_files(folder))
                    transports.append(transport)
                    with contextlib.suppress(paramiko.SSHException, EOFError):
                        transport.start_server(server=_Users(server))

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for transport in transports:
                transport.close()
            thread.join(60)
