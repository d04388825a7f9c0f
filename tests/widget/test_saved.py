"""What is left of a pool in a notebook that was run and saved without a browser."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbconvert = pytest.importorskip("nbconvert", reason="pip install -e '.[test]'")

CELLS = (
    """
from processpool import ProcessPool
pool = ProcessPool.from_dict({
    "name": "saved",
    "worker": {"kind": "command", "command": ["cat"], "protocol": "lines"},
    "size": {"min": 2, "max": 2},
}).open()
pool
""",
    'pool.map(["a", "b", "c"], progress="letters")',
    "print(pool)",
    "pool.close()",
    "pool",
    """
other = ProcessPool.from_dict({
    "worker": {"kind": "command", "command": ["sh", "-c", "read a; sleep 0.6; exit 3"],
               "protocol": "lines"},
    "size": {"min": 1, "max": 1}}).open()
try:
    other.map(["a", "b"], progress=False)
except Exception:
    pass
""",
    "import processpool.widget.display as display; display.has_anywidget = lambda: False",
    """
try:
    other.map(["a", "b"], progress="map")
except Exception:
    pass
other.close()
""",
    """
from processpool import ProcessPoolExecutor
display.has_anywidget = lambda: True
executor = ProcessPoolExecutor(max_workers=2)
executor
""",
    "sum(executor.map(abs, range(-5, 0)))",
    "executor.shutdown()",
    """
third = ProcessPool(max_workers=2).open()
async for answer in third.aimap(abs, range(-3, 0), progress="awaited"):
    pass
""",
    "third.executor()",
    "third.executor().submit(print, 'from a worker').result()\nthird.close()",
)


@pytest.fixture(scope="module")
def saved() -> Any:
    """The notebook, run to its end by a kernel that nobody looks at."""
    from nbconvert.preprocessors import ExecutePreprocessor

    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    runner = ExecutePreprocessor(  # type: ignore[no-untyped-call]
        timeout=100, kernel_name="python3", store_widget_state=False
    )
    with warnings.catch_warnings():  # those of the libraries are not ours to mend
        warnings.simplefilter("ignore")
        runner.preprocess(notebook)
    return notebook


def outputs(notebook: Any, cell: int) -> list[Any]:
    return list(notebook.cells[cell].outputs)


def test_the_output_is_the_final_table(saved: Any) -> None:
    (output,) = outputs(saved, 0)
    assert set(output.data) == {"text/html", "text/plain"}
    assert "closed · 3 ok · 0 failed" in output.data["text/plain"]
    assert output.data["text/html"].count("<tr>") == 3


def test_a_closed_pool_still_shows_its_table(saved: Any) -> None:
    (output,) = outputs(saved, 4)
    assert "closed · 3 ok · 0 failed" in output.data["text/html"]
    assert output.data["text/plain"] == "<ProcessPool 'saved', closed; 3 done>"


def test_a_map_leaves_its_record_in_its_cell(saved: Any) -> None:
    record, answer = outputs(saved, 1)
    assert answer.output_type == "execute_result"
    assert "✓ letters · 3 of 3 ok · 0 failed" in record.data["text/plain"]
    assert "data-processpool" not in record.data["text/html"]
    assert "<svg" in record.data["text/html"]
    assert "<script" not in record.data["text/html"]


def test_a_map_whose_cell_is_to_be_silent_leaves_nothing(saved: Any) -> None:
    assert outputs(saved, 5) == []


def test_without_the_widget_a_map_leaves_its_record_all_the_same(saved: Any) -> None:
    (record,) = outputs(saved, 7)
    assert "■ map · 0 of 2 ok · 1 failed · 1 cancelled" in record.data["text/plain"]
    assert "ended early: WorkerDied" in record.data["text/plain"]
    assert record.data["text/html"].count("<tr>") == 2


def test_an_executor_leaves_the_table_of_its_pool(saved: Any) -> None:
    (output,) = outputs(saved, 8)
    assert "closed · 5 ok · 0 failed" in output.data["text/plain"]
    (output,) = outputs(saved, 12)
    assert "closed · 4 ok · 0 failed" in output.data["text/html"]


def test_a_map_that_is_awaited_leaves_its_record_too(saved: Any) -> None:
    (record,) = outputs(saved, 11)
    assert "✓ awaited · 3 of 3 ok · 0 failed" in record.data["text/plain"]


def test_a_printed_pool_is_one_line(saved: Any) -> None:
    (output,) = outputs(saved, 2)
    assert output.text.startswith("<ProcessPool 'saved', open: 2 workers")
    assert output.text.count("\n") == 1


@pytest.mark.parametrize("kind", ["HTMLExporter", "MarkdownExporter"])
def test_the_table_is_in_what_nbconvert_makes(saved: Any, kind: str) -> None:
    body, _ = getattr(nbconvert, kind)().from_notebook_node(saved)
    assert "closed · 3 ok · 0 failed" in body
    assert '<th scope="row">' in body
