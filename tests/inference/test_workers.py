"""Pieces of work side by side: their order, their threads, and what they raise."""

from __future__ import annotations

import threading

import pytest
import torch

from espnet_prune.inference.workers import num_workers, workers

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 3])
def count(request):
    """Of PyTorch's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_order(count):
    with workers(CPU) as each:
        found = list(each(lambda x: (x * x, torch.get_num_threads()), range(50)))
    assert [square for square, _ in found] == [x * x for x in range(50)]
    assert {threads for _, threads in found} == {1}
    assert torch.get_num_threads() == num_workers(CPU) == count


def test_items_are_taken_as_they_are_needed(count):
    taken = []
    with workers(CPU) as each:
        results = iter(each(lambda x: x, (taken.append(x) or x for x in range(1000))))
        assert [next(results) for _ in range(5)] == list(range(5))
        assert len(taken) <= 5 + 2 * count


def test_an_error_comes_out_and_ends_all(count):
    def fail(x):
        if x == 3:
            raise ValueError("three")
        return x

    with pytest.raises(ValueError, match="three"), workers(CPU) as each:
        list(each(fail, range(1000)))
    assert torch.get_num_threads() == count
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert found == [count]


def test_an_accelerator_has_one():
    assert num_workers(torch.device("meta")) == 1
    with workers(torch.device("meta")) as each:
        assert each is map
