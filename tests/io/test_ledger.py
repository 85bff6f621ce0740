from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_unetpp.errors import OutputBusyError, OutputError
from napari_unetpp.io import Ledger

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "ledger.sqlite"


def test_marks_and_records_come_back(path):
    with Ledger.open(path) as ledger:
        ledger.mark("find", 7, b"seven")
        ledger.mark("find", 2)
        ledger.mark_many("grow", [(3, b"3"), (1, b"1")])
        ledger.mark("find", 7, b"again")
    with Ledger.open(path) as ledger:
        np.testing.assert_array_equal(np.flatnonzero(ledger.done("find", 9)), [2, 7])
        assert ledger.done("find", 9).shape == (9,)
        assert list(ledger.records("find")) == [(2, b""), (7, b"again")]
        assert list(ledger.records("grow")) == [(1, b"1"), (3, b"3")]
        assert list(ledger.records("other")) == []
        assert not ledger.done("other", 3).any()


def test_of_many_items_all_are_marked_or_none(path):
    def items():
        yield 0, b""
        raise KeyboardInterrupt

    with Ledger.open(path) as ledger:
        with pytest.raises(KeyboardInterrupt):
            ledger.mark_many("find", items())
        assert not ledger.done("find", 1).any()
        ledger.mark("find", 0)
        assert ledger.done("find", 1).all()


def test_pieces_may_be_marked_while_records_are_read():
    ledger = Ledger.in_memory()
    ledger.mark_many("find", ((at, b"%d" % at) for at in range(1000)))
    seen = []
    for index, record in ledger.records("find"):
        ledger.mark("grow", index, record)
        seen.append(index)
    assert seen == list(range(1000))
    assert list(ledger.records("grow")) == list(ledger.records("find"))


def test_a_line_is_noted_once(path):
    with Ledger.open(path) as ledger:
        for text in ("b", "a", "b"):
            ledger.note("bad", text)
        ledger.note("other", "c")
    with Ledger.read_only(path) as ledger:
        assert ledger.notes("bad") == ["b", "a"]
        assert ledger.notes("none") == []


def test_threads_share_a_ledger(path):
    with Ledger.open(path) as ledger:

        def work(first: int) -> None:
            for index in range(first, 400, 4):
                ledger.mark("find", index, b"x" * index)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ledger.done("find", 400).all()
        assert [len(record) for _, record in ledger.records("find")] == [*range(400)]


HOLD = """
import sys, time
from pathlib import Path
from napari_unetpp.io import Ledger
ledger = Ledger.open(Path(sys.argv[1]))
for index in range(100):
    ledger.mark("find", index, b"kept")
print("ready", flush=True)
time.sleep(60)
"""


def test_a_ledger_has_one_owner_until_it_is_killed(path):
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        for opened in (Ledger.open, Ledger.read_only):
            with pytest.raises(
                OutputBusyError, match=r"ledger\.sqlite is in use.*wait"
            ):
                opened(path)
    finally:
        os.kill(owner.pid, signal.SIGKILL)
        owner.communicate()
    with Ledger.read_only(path) as ledger:
        assert ledger.done("find", 100).all()
    with Ledger.open(path) as ledger:
        assert ledger.done("find", 100).all()
        with pytest.raises(OutputBusyError):
            Ledger.open(path)


def test_a_missing_ledger_is_not_made_by_reading(path):
    with pytest.raises(OutputError, match=r"ledger\.sqlite"):
        Ledger.read_only(path)
    assert not path.exists()


def test_a_ledger_whose_maker_was_killed_at_once_is_empty(path):
    path.touch()
    with Ledger.read_only(path) as ledger:
        assert not ledger.done("find", 3).any()
        assert ledger.notes("bad") == []


@pytest.mark.parametrize("opened", [Ledger.open, Ledger.read_only])
def test_a_damaged_ledger(path, opened):
    path.write_bytes(b"no database, but long enough to be taken for one" * 200)
    with pytest.raises(OutputError, match=r"ledger\.sqlite is damaged.*anew"):
        opened(path)


def test_a_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match=r"cannot be written.*make room"):
        Ledger.open(tmp_path / "missing" / "ledger.sqlite")


FULL = """
import resource, sys
from pathlib import Path
from napari_unetpp.io import Ledger
ledger = Ledger.open(Path(sys.argv[1]))
ledger.mark("find", 0, b"first")
resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
try:
    ledger.mark("find", 1, bytes(2**17))
except OSError as error:
    print(type(error).__name__, error)
print(ledger.done("find", 2))
"""


def test_a_full_disk_marks_nothing(path):
    """A limit on the size of files stands for the disk."""
    command = [sys.executable, "-c", FULL, str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    error, done = ran.stdout.splitlines()
    assert error.startswith("OutputError")
    assert "make room" in error
    assert done == "[ True False]"


MILLION = """
import resource, sys
from pathlib import Path
from napari_unetpp.io import Ledger
start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with Ledger.open(Path(sys.argv[1])) as ledger:
    ledger.mark_many("find", ((at, bytes(4)) for at in range(1_000_000)))
with Ledger.open(Path(sys.argv[1])) as ledger:
    assert ledger.done("find", 1_000_000).all()
    assert sum(len(record) for _, record in ledger.records("find")) == 4_000_000
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) // 1024)
"""


def test_a_million_marks_take_little_memory(path):
    command = [sys.executable, "-c", MILLION, str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 100  # MiB
