"""Jobs spread over processes: the same results in the same order, and failures that arrive."""

import os

import pytest
from meanfield.validation import workers


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(workers, "_WORTH", 0.0)


def test_results_keep_their_order_and_each_job_is_told():
    told = []
    found = workers.over(divmod, 17, [5, 4, 3, 2], 2, lambda: told.append(1))
    assert found == [divmod(17, k) for k in (5, 4, 3, 2)] and len(told) == 4


def test_processes_are_others_than_this_one():
    paths = workers.over(_identity, None, range(6), 2)
    assert len(set(paths)) >= 2


def _identity(shared, job):
    return os.getpid()


def test_an_error_of_a_job_arrives_as_it_is():
    with pytest.raises(ZeroDivisionError):
        workers.over(divmod, 1, [1, 1, 0, 1], 2)


def test_a_process_that_dies_is_an_error_not_a_hang():
    with pytest.raises(RuntimeError, match="worker process died"):
        workers.over(_die, os.getpid(), range(4), 2)


def _die(parent, job):
    if os.getpid() != parent:
        os._exit(1)


def test_one_worker_needs_no_process():
    assert set(workers.over(_identity, None, range(3), 1)) == {os.getpid()}
