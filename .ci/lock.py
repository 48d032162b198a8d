"""Resolves what pyproject.toml asks for and writes the constraints files; installs nothing (`make lock`).

Everything moves to its newest release except what the command line holds: `lock.py torch==2.13.0`.
constraints.txt covers the runtime, the extras dev, cluster, docs and fast, and those of environments;
constraints-peers.txt what peers adds.
"""

import json
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = "box2d,mujoco,atari,minatar,mpe2,openspiel,speech"
HEADER = "# Written by `make lock`: edit pyproject.toml instead.\n"
MAIN_NOTE = (
    "# A CUDA build of torch brings further packages, which that build pins itself.\n"
    "# hatchling is here because the project is built without isolation, by this release.\n"
)


def resolve(python: Path, requirements: list[str], constraints: list[Path]) -> dict[str, str]:
    """Public version of every package that the requirements need, by normalised name."""
    report = python.parent / "report.json"
    command = [str(python), "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    command += ["--only-binary", ":all:", "--report", str(report)]
    for path in constraints:
        command += ["--constraint", str(path)]
    subprocess.run([*command, *requirements], check=True, cwd=ROOT)
    pins = {}
    for item in json.loads(report.read_text())["install"]:
        metadata = item["metadata"]
        name = re.sub(r"[-_.]+", "-", metadata["name"]).lower()
        # A local suffix such as +cpu names a build, and only its own index has it.
        pins[name] = metadata["version"].partition("+")[0]
    del pins["rivals-lab"]
    return pins


def write(path: Path, note: str, pins: dict[str, str]) -> None:
    """Writes one sorted `name==version` per line under the header."""
    lines = [f"{name}=={version}\n" for name, version in sorted(pins.items())]
    path.write_text(HEADER + note + "".join(lines))
    print(f"{path.name}: {len(pins)} packages")


def main(held: list[str]) -> None:
    """Resolves twice, so that the peers get along with the locked rest."""
    with tempfile.TemporaryDirectory() as directory:
        venv.create(directory, with_pip=True)
        python = Path(directory, "bin", "python")
        locked, peers = ROOT / "constraints.txt", ROOT / "constraints-peers.txt"
        main_pins = resolve(python, [f".[dev,cluster,docs,fast,{ENVIRONMENTS}]", "hatchling", *held], [])
        write(locked, MAIN_NOTE, main_pins)
        peer_pins = resolve(python, [".[dev,peers]", "hatchling", *held], [locked])
        added = {name: version for name, version in peer_pins.items() if name not in main_pins}
        write(peers, "# Used together with constraints.txt.\n", added)


if __name__ == "__main__":
    main(sys.argv[1:])
