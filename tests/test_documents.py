"""The README's Python runs as it stands, its commands exist, its links lead somewhere, generated tables are fresh."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from trabecula.card import system_ids
from trabecula.cli import app

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
VERBS = {command.callback.__name__ for command in app.registered_commands}


def fenced(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.S | re.M)


def test_the_readmes_python_runs_as_it_stands(tmp_path):
    (code,) = fenced(ROOT / "README.md", "python")
    assert len(code.strip().splitlines()) <= 10
    done = subprocess.run(
        [sys.executable, "-c", code + "\nassert len(answers) == 3, answers\nprint(report)"],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report" / "index.html").exists()
    assert (tmp_path / "model" / "checksums.json").exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_command_and_system_named_in_the_documents_exists(page):
    text = page.read_text(encoding="utf-8")
    for verb in re.findall(r"^\s*trabecula ([a-z_]+)", text, flags=re.M) + re.findall(r"`trabecula ([a-z_]+)", text):
        assert verb in VERBS, f"{page.name} names the verb {verb}"
    for name in re.findall(r"\b[a-z]+20[12]\d_[a-z0-9_]+\b", text):
        assert name in system_ids(), f"{page.name} names the system {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_generated_parts_are_fresh():
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_lock_file_has_hashes_and_no_addresses():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index" not in text
    pins = re.findall(r"^[A-Za-z0-9_.-]+==", text, flags=re.M)
    assert len(pins) > 50
    assert text.count("--hash=sha256:") >= len(pins)
