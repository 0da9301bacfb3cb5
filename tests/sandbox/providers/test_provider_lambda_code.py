import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sandbox.providers._resource import ProviderError
from sandbox.providers._values import Asset
from sandbox.providers.aws._code import zipped


def text(content: str) -> Asset:
    return Asset("asset", {"text": content})


def unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code" / "package").mkdir(parents=True)
    (tmp_path / "code" / "main.py").write_text("main")
    (tmp_path / "code" / "package" / "a.py").write_text("a")
    return tmp_path / "code"


def test_an_archive_of_assets(folder: Path) -> None:
    inner = Asset("archive", {"assets": {"c.txt": text("c")}})
    code = Asset(
        "archive",
        {
            "assets": {
                "b.py": text("b"),
                "lib": Asset("archive", {"path": str(folder)}),
                "one.py": Asset("asset", {"path": str(folder / "main.py")}),
                "deep/er": inner,
            }
        },
    )
    assert unpacked(zipped(code)) == {
        "b.py": b"b",
        "deep/er/c.txt": b"c",
        "lib/main.py": b"main",
        "lib/package/a.py": b"a",
        "one.py": b"main",
    }


def test_a_zip_file_is_sent_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "function.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("index.py", "x")
    assert zipped(Asset("archive", {"path": str(path)})) == path.read_bytes()


def test_the_same_files_give_the_same_bytes(folder: Path) -> None:
    code = Asset("archive", {"path": str(folder)})
    first = zipped(code)
    (folder / "main.py").touch()
    assert zipped(code) == first
    other_order = [{"a": text("1"), "b": text("2")}, {"b": text("2"), "a": text("1")}]
    assert len({zipped(Asset("archive", {"assets": assets})) for assets in other_order}) == 1


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (Asset("archive", {"uri": "https://example.com/x.zip"}), "fetches nothing from the network"),
        (Asset("archive", {"path": "/nowhere"}), "asset /nowhere does not exist"),
        (Asset("archive", {"path": __file__}), "is not a folder"),
        (Asset("archive", {"assets": {"a": "text"}}), "must be an archive of files"),
    ],
)
def test_what_cannot_be_read_is_refused(code: Any, message: str) -> None:
    with pytest.raises(ProviderError, match=message):
        zipped(code)
