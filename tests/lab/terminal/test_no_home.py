"""Without a home directory (no HOME, and a user that the system does not know) only what needs one says so."""

import pwd
from pathlib import Path

import pytest

from lab.cli.main import main
from lab.data.images import cache_directory
from lab.errors import UserError
from lab.run import tracking


@pytest.fixture(autouse=True)
def _homeless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unknown(*_: object) -> None:
        raise KeyError("uid not found")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "LAB_DATA", "XDG_CACHE_HOME", "NETRC", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["runs"],
        ["config", "supervised/diabetes"],
        ["completion", "bash", "--line", "lab train supervised/diabetes bud"],
    ],
)
def test_commands_that_need_no_home_work(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().err == ""
    assert not list(tmp_path.glob("~*"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "~/x"],
        ["show", "~nobody-by-this-name/x"],
        ["train", "~nobody-by-this-name/x.yaml"],
        ["compare", "~a", "~b"],
        ["dashboard", "~nobody-by-this-name/x"],
    ],
)
def test_a_home_that_nobody_has_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_downloads_name_what_to_set() -> None:
    with pytest.raises(UserError, match=r"LAB_DATA.*HOME"):
        cache_directory()


def test_there_is_no_login_without_a_home() -> None:
    assert not tracking.has_login()
