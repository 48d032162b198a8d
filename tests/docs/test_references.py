"""The generated references are complete; the README is short and its links lead somewhere."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lab.config.registry import VERBS, kind_names
from tests.docs.pages import DOCS, ROOT


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    specification = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


def test_every_configuration_key_has_a_description(generate: ModuleType) -> None:
    assert [key for key in generate.undocumented() if not key.endswith(": kind")] == []


def test_every_verb_and_every_kind_has_its_section(generate: ModuleType) -> None:
    text = generate.commands_page()
    assert all(f"## lab {verb} " in text for verb in VERBS)
    for page in (generate.configuration_page(), generate.metrics_page()):
        assert all(f"{{#{kind}}}" in page for kind in kind_names())


def test_every_option_has_help(generate: ModuleType) -> None:
    rows = [line for line in generate.commands_page().split("\n") if line.startswith("| `--")]
    assert len(rows) > 100
    assert [row for row in rows if row.endswith("|  |")] == []


def test_the_readme_has_at_most_1500_words() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 1500


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_to_files(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", text) + re.findall(r'src="([^"]+)"', text)
    assert [link for link in links if "://" not in link and not Path(ROOT / link).exists()] == []


def test_the_version_is_the_same_everywhere() -> None:
    from lab import __version__

    for file in ("CITATION.cff", "CHANGELOG.md", "cluster/manifests/Dockerfile"):
        assert __version__ in (ROOT / file).read_text(encoding="utf-8")
