"""Check what the files of a distribution hold: all of the package, and nothing beside it."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("espnet_prune", "s3prl_plugin")
DATA = ("pretrained", "recipes", "static", "templates")
HOOK = {"espnet_prune_hook.py", "espnet_prune_hook.pth"}


def main(folder: Path) -> None:
    """Compare the one wheel and the one source distribution in ``folder`` with the repository."""
    (wheel,) = folder.glob("*.whl")
    (source,) = folder.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if not name.endswith("/")}
    found = {name for name in found if ".dist-info/" not in name}
    wanted = _package_files()
    _compare(wheel, missing=wanted - found, besides=found - wanted)
    with tarfile.open(source) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    foreign = {n for n in names if n.split("/")[0] in ("tests", "benchmarks", "egs2", "docs")}
    _compare(source, missing=wanted - names, besides=foreign)
    licences = sorted(name for name in found if name.endswith("/LICENSE"))
    print(f"{wheel.name}: {len(found)} files, {wheel.stat().st_size / 1e6:.1f} MB; {licences}")
    print(f"{source.name}: {len(names)} files, {source.stat().st_size / 1e6:.1f} MB")


def _package_files() -> set[str]:
    """The hook, the modules and the data of the packages, as paths from the repository's root."""
    files = set(HOOK)
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            parts = path.relative_to(ROOT).parts
            data = len(parts) > 2 and any(part in DATA for part in parts)
            if path.is_file() and (path.suffix == ".py" or data) and "__pycache__" not in parts:
                files.add(path.relative_to(ROOT).as_posix())
    return files


def _compare(path: Path, missing: set[str], besides: set[str]) -> None:
    if missing or besides:
        sys.exit(f"{path}: missing {sorted(missing)}, not to be there {sorted(besides)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
