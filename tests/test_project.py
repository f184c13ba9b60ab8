"""The project's own rules: imports point one way, pages and their code and links hold."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from espnet_prune.bin import GROUPS
from espnet_prune.bin import __main__ as command

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "espnet_prune"
# What a room imports stands before it.
ROOMS = ["encoder", "pruning", "distillation", "storage", "formats", "inference", "data"]
ROOMS += ["scoring", "diarization", "export", "service", "places", "espnet", "report", "bin"]
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "egs2/*.md", "egs2/*/*.md", "egs[23]/*/*/*.md")
    for path in ROOT.glob(pattern)
    if not {"_build", "_generated"} & {*path.parts}
)
# Pages whose blocks in ```python run as they stand; what needs files or a network is ```py.
RUNNING = [page for page in PAGES if PYTHON_BLOCK.search((ROOT / page).read_text())]
CORE = ("encoder", "pruning", "distillation", "storage", "formats", "inference")
# Verbs whose options are ESPnet's, or listed from what only torch can import.
HEAVY = {
    *GROUPS["training (options of ESPnet)"],
    *("apply_pruning", "convert", "profile", "export", "embed_utterances"),
}

# What users import: each of its classes and functions shows how in an example.
OPEN = ["espnet_prune", *(f"espnet_prune.{room}" for room in CORE if room != "formats")]


def public_names():
    """Every public class and function of the core, by the name that it is imported by."""
    for package in map(importlib.import_module, OPEN):
        for name in package.__all__:
            if inspect.isclass(found := getattr(package, name)) or inspect.isfunction(found):
                yield f"{package.__name__}.{name}", found


def examples():
    """The examples of the core, by module."""
    names = {found.__module__ for _, found in public_names()}
    for package in map(importlib.import_module, OPEN[1:]):
        found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        names |= {module.name for module in found}
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name in sorted(names):
        if tests := [test for test in finder.find(importlib.import_module(name)) if test.examples]:
            yield name, tests


EXAMPLES = dict(examples())


def imports(path: Path):
    """Modules imported by ``path``, and whether at its top level."""
    tree = ast.parse(path.read_text())
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", id(node) in top


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_one_way(room):
    later = ROOMS[ROOMS.index(room) + 1 :]
    for path in (PACKAGE / room).rglob("*.py"):
        for module, _ in imports(path):
            parts = module.split(".")
            assert not (parts[0] == "espnet_prune" and parts[1:2] and parts[1] in later), (
                f"{path.relative_to(ROOT)} imports {module}"
            )


def test_core_imports_torch_alone():
    allowed = {*sys.stdlib_module_names, "torch", "safetensors", "espnet_prune"}
    for room in CORE:
        for path in (PACKAGE / room).rglob("*.py"):
            for module, at_top in imports(path):
                assert not at_top or module.split(".")[0] in allowed, f"{path} imports {module}"


def test_help_comes_without_torch():
    verbs = {verb for group in GROUPS.values() for verb in group} - HEAVY
    code = (
        "import importlib, sys\n"
        "heavy = {'torch', 'sklearn', 'matplotlib', 'pyannote.core', 'scipy'}\n"
        "import espnet_prune\n"
        "assert not heavy & {*sys.modules}\n"
        f"for verb in {sorted(verbs)}:\n"
        "    importlib.import_module(f'espnet_prune.bin.{verb}').get_parser()\n"
        "    assert not heavy & {*sys.modules}, verb\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_packages_list_the_names_that_they_import_later():
    for package in map(importlib.import_module, OPEN):
        assert {*package.__all__} <= {*dir(package)}
        with pytest.raises(AttributeError, match=f"{package.__name__}.*no attribute 'nothing'"):
            _ = package.nothing


@pytest.mark.parametrize(
    "code",
    [
        "from espnet_prune.encoder.model import SSLEncoder; SSLEncoder.storage.load",
        "from espnet_prune.encoder.config import ConvLayerConfig, SSLConfig, dense_layers\n"
        "convs, layers = (ConvLayerConfig(8, 10, 5),), dense_layers(1, 4, 8)\n"
        "SSLConfig('hubert', convs, 'layer', True, 64, 4, 16, layers, True, 3, 1, True)",
    ],
)
def test_a_module_of_the_encoder_works_alone(code):
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_core_runs_without_anything_else():
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        taken = ('espnet2', 's3prl', 'torchaudio', 'transformers', 'pyannote', 'scipy',\n"
        "                 'tqdm', 'yaml', 'soundfile')\n"
        "        if name.split('.')[0] in taken:\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import torch, espnet_prune, espnet_prune.distillation, espnet_prune.formats\n"
        "from espnet_prune.pruning import HardConcreteGates\n"
        "config = espnet_prune.PRESETS['whisper_tiny_en']()\n"
        "masks = HardConcreteGates(config).masks()\n"
        "espnet_prune.SSLEncoder(config)(torch.randn(1, 4000), masks=masks)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("page", RUNNING)
def test_python_blocks_run(page, tmp_path):
    blocks = PYTHON_BLOCK.findall((ROOT / page).read_text())
    for block in blocks:
        subprocess.run(
            [sys.executable, "-c", block],
            check=True,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_run(module):
    told: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    for test in EXAMPLES[module]:
        runner.run(test, out=told.append)
    assert not told, "".join(told)


def test_every_public_name_of_the_core_has_an_example():
    names = dict(public_names())
    assert len(names) > 30
    assert not [name for name, found in names.items() if ">>>" not in (found.__doc__ or "")]


def test_pruning_your_own_takes_30_lines():
    (block,) = PYTHON_BLOCK.findall((ROOT / "docs" / "pruning_your_own.md").read_text())
    assert len(block.splitlines()) <= 30


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"https?:|mailto:|#", target):
            path = (ROOT / page).parent / target.partition("#")[0]
            assert path.exists(), f"{page} links to {target}"


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("docs/reference/*.rst")), ids=lambda page: page.stem
)
def test_the_reference_names_what_is_there(page):
    names = re.findall(r"^\.\. auto\w+:: (\S+)", page.read_text(), re.MULTILINE)
    assert names
    for name in names:
        pkgutil.resolve_name(name)


def test_every_command_has_help():
    for path in sorted((PACKAGE / "bin").glob("*.py")):
        source = path.read_text()
        if "def main" in source:
            assert "def get_parser" in source and ast.get_docstring(ast.parse(source)), path


def test_every_file_is_in_a_room():
    folders = {path.name for path in PACKAGE.iterdir() if any(path.rglob("*.py"))}
    assert {name for name in folders if not name.endswith(".py")} == {*ROOMS}


def test_imports_without_circles():
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
    }
    edges = {name: set(_imported(path, modules)) - {name} for name, path in modules.items()}
    TopologicalSorter(edges).prepare()  # raises CycleError, which names one


def _imported(path: Path, modules: dict[str, Path]):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []  # types are no imports at run time
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names = (f"{node.module}.{alias.name}", node.module)
                yield from [name for name in names if name in modules][:1]


def test_every_verb_is_listed_once(capsys):
    verbs = [verb for group in GROUPS.values() for verb in group]
    files = {path.stem for path in (PACKAGE / "bin").glob("[!_]*.py") if _is_verb(path)}
    assert sorted(verbs) == sorted(files)
    with pytest.raises(SystemExit) as end:
        command.main(["--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"  {verb} " in shown for verb in verbs)


def test_a_verb_by_the_one_command(capsys):
    command.main(["profile", "whisper_tiny_en"])
    assert "MACs" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        command.main(["prune"])
    assert "found 'prune'" in capsys.readouterr().err


def _is_verb(path: Path) -> bool:
    return "\ndef main(" in path.read_text()
