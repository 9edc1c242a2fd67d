"""Each block of code in README.md and docs/ is run by a test, or there is a reason why not.

A new block needs a row here: its document, how it begins, and the file of tests that runs it, or the reason.
"""

from __future__ import annotations

import pytest

from tests.documents.blocks import DOCUMENTS, INDENTED, ROOT, Block, blocks

ROWS = [
    ("README.md", "make run", "tests/process/test_dev.py"),
    ("README.md", "", "tests/documents/test_readme.py"),
    ("docs/access.md", "const answer", "tests/documents/test_in_browser.py"),
    ("docs/access.md", "", "tests/documents/test_access.py"),
    ("docs/api.md", "[forge]", "tests/core/test_hooks.py"),
    ("docs/api.md", "", "tests/process/test_api_docs.py"),
    ("docs/client-js.md", "", "tests/client_js/test_documents.py"),
    ("docs/client-python.md", "", "tests/client/test_documents.py"),
    ("docs/clients.md", "const events", "tests/documents/test_in_browser.py"),
    ("docs/clients.md", "", "tests/clients/test_documents.py"),
    ("docs/commands.md", "", "tests/cli/test_documents.py"),
    ("docs/deployment.md", "docker build", "tests/deploy/test_image.py"),
    ("docs/deployment.md", "python3 -m venv", "it makes a service of the machine; the units are tried by tests/process/test_systemd.py"),
    ("docs/deployment.md", "", "tests/documents/test_serve.py"),
    ("docs/journals-redis.md", "ACL SETUSER", "tests/redis/test_start.py"),
    ("docs/journals-redis.md", "", "tests/documents/test_serve.py"),
    ("docs/journals.md", "", "tests/documents/test_serve.py"),
    ("docs/metrics.md", "tocsin_fanout", "tests/metrics/test_conservation.py"),
    ("docs/monitoring.md", "make monitor", "tests/monitoring/test_monitor.py"),
    ("docs/monitoring.md", "tocsin monitoring", "tests/monitoring/test_written_out.py"),
    ("docs/monitoring.md", "jq -c", "tests/documents/test_log_queries.py"),
    ("docs/monitoring.md", "promtool", "tests/monitoring/test_rules.py"),
    ("docs/production.md", "tocsin serve", "tests/process/test_processes.py"),
    ("docs/production.md", "", "tests/documents/test_production.py"),
    ("docs/proxies.md", "tocsin serve", "tests/documents/test_serve.py"),
    ("docs/proxies.md", "", "tests/proxies/test_documents.py"),
    ("docs/recipes.md", "", "tests/browser/test_recipes.py"),
    ("docs/reliability.md", ".venv/bin/python -m pytest -m soak", "`make soak` runs it, and what it installs takes a minute"),
]  # fmt: skip
"""The first row that fits a block is its row."""


def row_of(block: Block) -> tuple[str, str, str]:
    for row in ROWS:
        if block.document == row[0] and block.text.lstrip().startswith(row[1]):
            return row
    pytest.fail(f"{block}: no row says which test runs this block, or why none does")


def test_each_block_has_a_row_and_each_row_a_block() -> None:
    used = {row_of(block) for document in DOCUMENTS for block in blocks(document)}
    assert used == {row for row in ROWS if row[0] in DOCUMENTS}


def test_each_row_names_tests_that_there_are() -> None:
    for document, beginning, how in ROWS:
        if how.startswith("tests/") and document in DOCUMENTS:
            assert (ROOT / how).exists(), f"{document}, {beginning}: {how}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_code_is_between_fences(document: str) -> None:
    """What is code by its indentation alone would be no block here."""
    outside = "".join((ROOT / document).read_text().split("```")[::2])
    assert not INDENTED.search(outside)
