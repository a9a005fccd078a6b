"""The promises of the installation: what the wheel holds, what an import loads, what each package exports."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("verifiers", "envs", "agents")


def modules() -> set[str]:
    """Returns every module of the three folders as a path inside the wheel."""
    return {f"turnwise/{path.relative_to(ROOT)}" for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}


def listed_packages() -> set[str]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return set(tomllib.load(file)["tool"]["setuptools"]["packages"])


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in a wheel built from a copy of the sources, which no stale build folder can pollute."""
    source = tmp_path_factory.mktemp("source")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(source)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    (path,) = target.glob("*.whl")
    return set(zipfile.ZipFile(path).namelist())


def test_the_list_of_packages_equals_the_folders() -> None:
    folders = {
        ".".join(["turnwise", *path.parent.relative_to(ROOT).parts])
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert listed_packages() == folders


def test_every_module_stands_in_a_listed_package() -> None:
    packages = listed_packages()
    homeless = [name for name in modules() if ".".join(Path(name).parent.parts) not in packages]
    assert homeless == []


def test_the_wheel_holds_every_module(wheel: set[str]) -> None:
    assert modules() - wheel == set()


def test_the_wheel_holds_the_type_markers_and_package_data(wheel: set[str]) -> None:
    data = {
        f"turnwise/{path.relative_to(ROOT)}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    assert {f"turnwise/{folder}/py.typed" for folder in FOLDERS} <= data
    assert data - wheel == set()


def test_the_wheel_installs_nothing_beside_turnwise(wheel: set[str]) -> None:
    top = {name.split("/")[0] for name in wheel}
    assert top == {"turnwise", *(name for name in top if name.endswith(".dist-info"))}
    assert "turnwise/__init__.py" not in wheel


def loaded_by(statement: str) -> set[str]:
    """Returns the top-level modules that a fresh interpreter holds after a statement."""
    code = f"{statement}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import turnwise.verifiers", {"torch", "gymnasium", "transformers", "sympy"}),
        ("import turnwise.envs", {"torch", "transformers"}),
        ("import turnwise.agents", {"torch", "transformers"}),
        ("import turnwise.agents.credit", {"torch", "transformers"}),
        ("import turnwise.agents.cli", {"torch", "transformers"}),
    ],
)
def test_an_import_loads_no_more_than_it_promises(statement: str, absent: set[str]) -> None:
    assert loaded_by(statement) & absent == set()


EXPORTS = json.loads((Path(__file__).parent / "exports.json").read_text(encoding="utf-8"))
"""What each package exports. A name that is taken away breaks somebody's import: change this file on purpose only."""


@pytest.mark.parametrize("package", sorted(listed_packages()))
def test_a_package_exports_exactly_the_names_that_are_pinned(package: str) -> None:
    module = importlib.import_module(package)
    assert sorted(getattr(module, "__all__", [])) == EXPORTS[package]
    assert all(getattr(module, name) is not None for name in EXPORTS[package])


def test_each_package_carries_one_namespace_only() -> None:
    code = "import importlib.util as u; print([n for n in ('envs', 'agents', 'verifiers') if u.find_spec(n)])"
    found = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent
    ).stdout.strip()
    assert found == "[]"


def blocked(module: str, statement: str) -> str:
    """Returns what a statement raises where `module` cannot be imported."""
    code = (
        f"import sys\nsys.modules[{module!r}] = None\n"
        f"try:\n    {statement}\nexcept ImportError as error:\n    print(type(error).__name__, error)"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("module", "statement", "extra"),
    [
        ("torch", "import turnwise.agents.learner", "train"),
        ("torch", "import turnwise.agents.losses", "train"),
        ("pydantic", "import turnwise.agents.config", "train"),
        ("transformers", "from turnwise.agents.engines import TransformersEngine", "train"),
        ("transformers", "from turnwise.agents.model import *; load_model(ModelConfig(path='x'))", "train"),
        (
            "openai",
            "from turnwise.agents.engines import ServerEngine; ServerEngine('http://localhost/v1', 'm')",
            "server",
        ),
    ],
)
def test_an_import_that_needs_a_missing_extra_names_it(module: str, statement: str, extra: str) -> None:
    said = blocked(module, statement)
    assert re.match(rf"MissingExtra '{module}[\w.]*' is not installed", said), said
    assert said.endswith(f"pip install 'turnwise[{extra}]'"), said
