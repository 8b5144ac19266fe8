"""Which addresses may be asked, and how an operator opens others."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from airside.coordinator.actions import ActionSettings
from airside.coordinator.outbound import AllowList, InvalidAllowList, OutboundSettings, is_public


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8"])
def test_public_addresses(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "0.1.2.3",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


def allows(listed: str, host: str, port: int, address: str) -> bool:
    return AllowList.parse(listed).allows(host, port, ip_address(address))


@pytest.mark.parametrize(
    ("listed", "host", "port", "address", "allowed"),
    [
        ("", "localhost", 80, "127.0.0.1", False),
        ("10.0.0.0/8", "anything", 443, "10.1.2.3", True),
        ("10.0.0.0/8", "anything", 443, "11.1.2.3", False),
        ("10.0.0.0/8", "anything", 443, "::ffff:10.1.2.3", True),
        ("10.0.0.1", "a", 443, "10.0.0.1", True),
        ("10.0.0.1:8080", "a", 8080, "10.0.0.1", True),
        ("10.0.0.1:8080", "a", 443, "10.0.0.1", False),
        ("fd00::/8", "a", 443, "fd00::1", True),
        ("[fd00::1]:443", "a", 443, "fd00::1", True),
        ("[fd00::1]:443", "a", 444, "fd00::1", False),
        ("hooks.corp.example", "hooks.corp.example", 443, "10.0.0.1", True),
        ("HOOKS.corp.example", "Hooks.Corp.Example", 443, "10.0.0.1", True),
        ("hooks.corp.example", "evil-hooks.corp.example", 443, "10.0.0.1", False),
        ("*.corp.example", "hooks.corp.example", 443, "10.0.0.1", True),
        ("*.corp.example", "corp.example", 443, "10.0.0.1", False),
        ("localhost:9000, 10.0.0.0/8", "localhost", 9000, "127.0.0.1", True),
        ("localhost:9000, 10.0.0.0/8", "localhost", 9001, "127.0.0.1", False),
        # a name alone never opens what keeps a machine's credentials
        ("*.internal", "metadata.google.internal", 80, "169.254.169.254", False),
        ("169.254.169.254", "metadata.google.internal", 80, "169.254.169.254", True),
    ],
)
def test_the_operators_list(listed: str, host: str, port: int, address: str, allowed: bool) -> None:
    assert allows(listed, host, port, address) is allowed


@pytest.mark.parametrize("listed", ["http://a", "10.0.0.0/99", "a:b", "a b", "user@host", ":80"])
def test_an_entry_that_cannot_be_read_is_named(listed: str) -> None:
    with pytest.raises(InvalidAllowList, match="AIRSIDE_ALLOW_PRIVATE"):
        AllowList.parse(f"localhost, {listed}")


def test_the_operators_settings_come_from_the_environment_then_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "airside.toml").write_text('allow_private = "10.0.0.0/8"\noutbound_deadline_seconds = 3.0\nport = 1\n')
    assert OutboundSettings().allow_private == "10.0.0.0/8"
    monkeypatch.setenv("AIRSIDE_ALLOW_PRIVATE", "localhost:9000")
    settings = OutboundSettings()
    assert (settings.allow_private, settings.outbound_deadline_seconds) == ("localhost:9000", 3.0)
    assert ActionSettings().outbound == settings
