"""Which name makes which embedding."""

from __future__ import annotations

import sys

import pytest

from espnet_prune.diarization.embedding import EMBEDDINGS, embeddings_help, make_embedder
from espnet_prune.diarization.embedding.pooling import PooledStates
from espnet_prune.diarization.embedding.wespeaker import WESPEAKER
from espnet_prune.storage import CheckpointError
from tests.encoders import tiny_config


def test_ssl_pools_the_layer():
    assert make_embedder("ssl", tiny_config(), 2) == PooledStates(2)
    assert make_embedder("ssl", tiny_config(), -1).layers == (3,)
    assert all(name in embeddings_help() for name in (*EMBEDDINGS, WESPEAKER))


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        make_embedder(str(tmp_path / "nowhere"), tiny_config())


def test_espnet_is_asked_for_only_where_it_is_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "espnet_prune.diarization.embedding.espnet", None)
    assert isinstance(make_embedder("ssl", tiny_config()), PooledStates)
    with pytest.raises(CheckpointError, match=r"espnet_prune\[espnet\]"):
        make_embedder("espnet:somewhere", tiny_config())
