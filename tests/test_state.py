"""What tells that something changed: of a file, of a model's folder; and where an installed kb has its data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kb import files, paths
from kb.encoder.models import fingerprint
from kb.files import State
from kb.snapshot import life
from kb.snapshot.store import open_store


@pytest.mark.parametrize("part", State._fields)
def test_a_source_that_differs_in_any_part_of_its_state_is_read_again(
    part: str, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "SETTLED", 0)
    open_store([sample], tmp_path).close()
    look, read = life.state_of, []
    monkeypatch.setattr(life, "read_named", lambda path: read.append(path) or files.read_named(path))
    open_store([sample], tmp_path).close()
    assert read == []

    def changed(path: Path, **how: bool) -> State:
        state = look(path, **how)
        return state._replace(**{part: getattr(state, part) + 1})

    monkeypatch.setattr(life, "state_of", changed)
    open_store([sample], tmp_path).close()
    assert read == [sample]


def test_a_model_is_another_when_a_file_of_its_has_another_size_time_or_name(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"0123")
    os.utime(weights, ns=(10**18, 10**18))
    seen = [fingerprint(tmp_path)]
    weights.write_bytes(b"4567")
    os.utime(weights, ns=(10**18, 10**18 + 1))
    seen.append(fingerprint(tmp_path))
    weights.write_bytes(b"45678")
    os.utime(weights, ns=(10**18, 10**18 + 1))
    seen.append(fingerprint(tmp_path))
    weights.rename(tmp_path / "other.safetensors")
    seen.append(fingerprint(tmp_path))
    assert len(set(seen)) == 4
    assert fingerprint(tmp_path) == seen[-1]


def test_the_data_lies_in_the_package_where_it_is_installed_and_else_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "kb"
    package.mkdir(parents=True)
    monkeypatch.setattr(paths, "PACKAGE", package)
    assert paths.shipped_data() == tmp_path / "site-packages" / "data"
    (package / "data").mkdir()
    (package / "data" / "concepts.yaml").touch()
    assert paths.shipped_data() == package / "data"
