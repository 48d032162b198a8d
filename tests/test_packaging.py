"""What holds for the packages as such: light imports, their boundaries, and what none of them may use."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Set
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("lab", "agents", "gans", "cluster", "configs")
CONSTRAINTS = ROOT / "constraints.txt"

# What an import must not need is refused: packages are absent, sockets do not open.
IMPORT_ALONE = """
import importlib, socket, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

def refuse(*args, **kwargs):
    raise AssertionError("an import opened a socket")

sys.meta_path.insert(0, Absent())
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
for name in {modules!r}:
    importlib.import_module(name)
torch = sys.modules.get("torch")
assert torch is None or not torch.cuda.is_initialized(), "an import started CUDA"
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


def modules() -> Iterator[tuple[str, Path]]:
    """Dotted name and file of every module of the packages."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def imported(path: Path, top_level_only: bool = False) -> frozenset[str]:
    """Dotted names that a file imports; `from a import b` counts as a.b, relative imports are left out."""
    tree = parsed(path)
    names = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and _is_import_call(node):
            names.add(str(getattr(node.args[0], "value", "")))
    return frozenset(names)


def _is_import_call(node: ast.Call) -> bool:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in {"import_module", "__import__"} and bool(node.args)


def importers(package: str) -> set[str]:
    """Files, relative to the root, that import a package anywhere."""
    return {
        str(path.relative_to(ROOT))
        for _, path in modules()
        if any(name.partition(".")[0] == package for name in imported(path))
    }


def import_alone(names: list[str], absent: tuple[str, ...] = ()) -> set[str]:
    """Imports modules in a fresh interpreter without GPU and network; the top-level packages it loaded."""
    script = IMPORT_ALONE.format(modules=names, absent=absent)
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def test_every_module_imports_without_gpu_network_ray_and_pygame() -> None:
    names = [name for name, path in modules() if path.name != "__main__.py"]
    assert {"lab", "agents", "gans", "cluster"} <= set(names)
    import_alone(names, absent=("ray", "pygame", "jax", "mctx", "pgx", "pyspiel"))


@pytest.mark.parametrize("name", ["lab", "lab.errors", "lab.config.registry", "lab.cli.main"])
def test_the_command_line_starts_without_the_heavy_packages(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} does not exist")
    assert not import_alone([name]) & {"torch", "numpy", "wandb", "pettingzoo", "gymnasium", "ray"}


def test_only_the_tracking_module_imports_wandb() -> None:
    assert importers("wandb") <= {"lab/run/tracking.py"}


def test_only_cluster_imports_ray_and_only_inside_functions() -> None:
    assert all(path.startswith("cluster/") for path in importers("ray"))
    for _, path in modules():
        assert not any(name.partition(".")[0] == "ray" for name in imported(path, top_level_only=True)), path


@pytest.mark.parametrize(
    ("package", "others"),
    [
        ("lab", {"agents", "gans", "cluster"}),
        ("agents", {"gans", "cluster"}),
        ("gans", {"agents", "cluster"}),
    ],
)
def test_a_package_imports_only_those_below_it(package: str, others: set[str]) -> None:
    for other in others:
        assert not [path for path in importers(other) if path.startswith(f"{package}/")]


def forbidden(tree: ast.AST) -> Iterator[str]:
    """Names used in a tree that read or run whatever a file holds."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found = {(node.module or "").partition(".")[0]}
            if node.module in {"torch", "torch.serialization"}:
                found = {f"torch.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "torch":
            found = {f"torch.{node.attr}"}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found = {node.func.id}
        elif isinstance(node, ast.keyword):
            found = set() if ast.unparse(node.value) == "False" else {node.arg or ""}
        else:
            continue
        pickles = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
        yield from found & {*pickles, "torch.load", "torch.save", "eval", "exec", "allow_pickle"}


def test_no_file_uses_pickle_torch_load_eval_or_exec() -> None:
    paths = [path for folder in (*PACKAGES, "tests") for path in sorted((ROOT / folder).rglob("*.py"))]
    used = {str(path.relative_to(ROOT)): set(forbidden(ast.parse(path.read_text()))) for path in paths}
    assert {path: names for path, names in used.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "torch.load(path)",
        "from torch import save",
        "load(x, allow_pickle=True)",
        "eval(text)",
    ],
)
def test_the_search_for_forbidden_names_finds_them(source: str) -> None:
    assert list(forbidden(ast.parse(source)))


@pytest.mark.parametrize("source", ["network.eval()", "np.load(path, allow_pickle=False)", "json.load(file)"])
def test_the_search_for_forbidden_names_leaves_the_rest_alone(source: str) -> None:
    assert not list(forbidden(ast.parse(source)))


def test_every_package_is_marked_as_typed() -> None:
    assert all((ROOT / package / "py.typed").is_file() for package in PACKAGES)


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-peers.txt"])
def test_constraints_pin_public_versions_exactly(name: str) -> None:
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[a-z0-9.]+", line)] == []


def test_every_direct_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    environments = [line for name in ("box2d", "mujoco", "atari", "minatar", "mpe2", "speech") for line in extras[name]]
    pins = (CONSTRAINTS.read_text() + (ROOT / "constraints-peers.txt").read_text()).splitlines()
    pinned = {pin.partition("==")[0] for pin in pins}
    for requirement in [*project["dependencies"], *extras["dev"], *extras["cluster"], *extras["peers"], *environments]:
        name = re.split(r"[\[<>=!~ ]", requirement)[0].lower().replace("_", "-")
        assert name in pinned, f"{name} is not pinned: run make lock"


# The name under which a distribution is imported, where it is not the distribution's own.
IMPORT_NAMES = {
    "open-spiel": "pyspiel",
    "grpcio": "grpc",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "pygame-ce": "pygame",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}
# Imported by others: torch.onnx's exporter, imageio's writer of videos, and Gymnasium's environments and wrappers.
ONLY_BY_OTHERS = {"onnxscript", "imageio_ffmpeg", "ale_py", "box2d", "cv2", "minatar", "mpe2", "mujoco"}

WITH_TORCH = {"triton"}
"""What a CUDA build of torch brings; imported where it is there."""


def import_names(requirements: list[str]) -> set[str]:
    """Top-level names that the distributions of some requirements are imported by."""
    names = (re.split(r"[\[<>=!~; ]", requirement)[0].lower() for requirement in requirements)
    return {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in names}


def third_party(names: Set[str]) -> set[str]:
    own = {*PACKAGES, *sys.stdlib_module_names, ""}
    return {name.partition(".")[0] for name in names} - own


def declared() -> tuple[set[str], set[str]]:
    """Import names of the core dependencies, and of all extras for users."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    optional = [line for name, lines in extras.items() if name not in {"dev", "docs", "peers"} for line in lines]
    return import_names(project["dependencies"]), import_names(optional)


def test_every_import_is_declared_and_what_every_start_needs_is_a_core_dependency() -> None:
    core, optional = declared()
    undeclared = {str(path): third_party(imported(path)) - core - optional - WITH_TORCH for _, path in modules()}
    assert {path: names for path, names in undeclared.items() if names} == {}
    late = {str(path): third_party(imported(path, top_level_only=True)) - core for _, path in modules()}
    assert {path: names for path, names in late.items() if names} == {}


def test_every_dependency_is_imported() -> None:
    core, optional = declared()
    used = set().union(*(third_party(imported(path)) for _, path in modules()))
    assert (core | optional) - used - ONLY_BY_OTHERS == set()


def test_torch_has_an_upper_bound_because_private_operations_are_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (torch,) = (line for line in project["dependencies"] if re.match(r"torch\b", line))
    assert re.search(r"<\d+\.\d+", torch)


def test_the_core_brings_no_ffmpeg() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert not [line for line in project["dependencies"] if "ffmpeg" in line]
