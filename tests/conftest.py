"""Every test runs with its own folders, an English locale, no colour and no network."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
SAMPLE = Path(__file__).parent / "data" / "sample.yaml"


@pytest.fixture(autouse=True)
def own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cache and configuration in the test's folder; the user's choices out of the way."""
    for name in (
        "LC_ALL",
        "LC_MESSAGES",
        "LANGUAGE",
        "KB_LANG",
        "KB_DATA",
        "KB_MODEL",
        "KB_DEVICE",
        "PAGER",
        "FORCE_COLOR",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("KB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("KB_CONFIG_DIR", str(tmp_path / "config"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to anywhere but this machine is a failure."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            raise AssertionError(f"a test reached for the network: {address}")
        connect(self, address)  # type: ignore[arg-type]  # whatever a local socket takes

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def sample() -> Path:
    """A small knowledge base that lints clean."""
    return SAMPLE


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One cache for tests that only read the shipped knowledge base."""
    yield tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def sample_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds the snapshot of the sample."""
    from kb.snapshot.store import open_store

    cache = tmp_path_factory.mktemp("sample")
    open_store([SAMPLE], cache).close()
    return cache


@pytest.fixture
def warm(own_world: None, sample_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes find the sample compiled: for tests that are about something else, a second saved for each process."""
    monkeypatch.setenv("KB_CACHE_DIR", str(sample_cache))
