"""A head learns from CAM++ through ESPnet's trainer, and diarizes beside its model."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("espnet2")

from espnet_prune import Diarizer
from espnet_prune.bin import (
    apply_pruning,
    embed_utterances,
    embedding_train,
    pack,
    tune_diarization,
)
from espnet_prune.diarization.embedding.campplus import CAMPlusPlus, CAMPlusPlusEmbedder
from espnet_prune.diarization.embedding.head import EmbeddingHead, HeadEmbedder
from espnet_prune.diarization.head import DiarizationConfig, HeadConfig
from espnet_prune.diarization.model import DiarizationModel
from espnet_prune.diarization.pipeline import InferenceConfig
from espnet_prune.encoder import Featurizer, SSLEncoder
from espnet_prune.espnet.embedding_task import UNKNOWN, ESPnetEmbeddingModel
from tests.diarization.embedding.three_d_speaker import random_state
from tests.espnet.speech_corpus import write_corpus
from tests.espnet.trainer_options import trainer_options


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    network = CAMPlusPlus()
    network.load_state_dict(random_state())
    folder = tmp_path_factory.mktemp("campplus")
    CAMPlusPlusEmbedder(network).save_pretrained(folder)
    return folder


@pytest.fixture
def model(encoder_folder):
    encoder = SSLEncoder.from_pretrained(encoder_folder)
    torch.manual_seed(0)
    head = EmbeddingHead.for_encoder(encoder.config)
    return ESPnetEmbeddingModel(head, encoder, 3, 0.5)


def test_padding_does_not_matter(model):
    model.eval()
    torch.manual_seed(0)
    speech, lengths = torch.randn(2, 16000), torch.tensor([16000, 9000])
    speakers = torch.tensor([[2], [UNKNOWN]])
    speech[1, 9000:] = 0
    embeddings = torch.randn(2, 192)
    together = model(speech, lengths, speakers, embeddings)[0]
    items = zip(speech, lengths, speakers, embeddings, strict=True)
    alone = [model(s[None, :n], n[None], who[None], e[None])[0] for s, n, who, e in items]
    torch.testing.assert_close(together, torch.cat(alone).mean(0, keepdim=True))


def test_the_loss(model):
    """Unknown speakers have the distance alone, known ones the margin's loss besides."""
    model.eval()
    speech, lengths = torch.randn(1, 8000), torch.tensor([8000])
    losses = []
    for speaker in (UNKNOWN, 0, 1):
        loss, stats, _ = model(speech, lengths, torch.tensor([[speaker]]), torch.ones(1, 192))
        losses.append(loss - stats["distance"])
    assert losses[0] == 0 and losses[1] > 0 and losses[1] != losses[2]
    losses[1].sum().backward()
    assert {key.partition(".")[0] for key in model.state_dict()} == {"head", "speakers"}
    assert all(parameter.grad is not None for parameter in model.parameters())
    with pytest.raises(ValueError, match="expected embeddings of 192 values, found 5"):
        model(speech, lengths, torch.tensor([[0]]), torch.ones(1, 5))


def test_stretches_lie_within_their_utterances(model):
    frames = torch.tensor([400, 120, 20])
    pooled = torch.stack([model.train()._stretches(frames, 400) for _ in range(50)])
    counts = pooled.sum(2)
    assert pooled.shape == (50, 3, 400, 4) and not pooled[:, 1, 120:].any()
    assert (counts[:, 2] == 20).all() and not pooled[:, 2, 20:].any()
    assert (
        counts[:, 0].min() >= 50 and counts[:, 0].max() <= 150 and counts[:, 0].unique().numel() > 9
    )
    assert pooled.any(3)[:, 0].any(0).all()  # anywhere
    jumps = pooled.int().diff(dim=2, prepend=torch.zeros_like(pooled[:, :, :1]).int())
    assert ((jumps == 1).sum(2) == 1).all()  # each in one piece
    whole = model.eval()._stretches(frames, 400)
    assert whole.shape == (3, 400, 1) and whole.sum(1).flatten().tolist() == frames.tolist()


def test_trained_exported_and_used(windows, encoder_folder, teacher, tmp_path, capsys):
    encoder = SSLEncoder.from_pretrained(encoder_folder)
    config = DiarizationConfig(HeadConfig(16, 1, 2, 16, 3), max_speakers=2, window_size=2.0)
    model = DiarizationModel(Featurizer(encoder), config)
    torch.nn.init.normal_(model.head.classifier.weight, std=5)
    model.save_pretrained(tmp_path / "model")
    corpus = write_corpus(tmp_path)
    command = trainer_options(output_dir=tmp_path / "train", optim_conf="lr=0.01")
    (corpus / "utt2spk").write_text("".join(f"u{i} {'abc'[i % 3]}\n" for i in range(8)))
    (corpus / "speakers").write_text("a u0\nb u1\n")  # c is not told apart
    for split in ("train", "valid"):
        for data in ("utt2spk,speaker,text", "campplus,embedding,text_float"):
            command += [f"--{split}_data_path_and_name_and_type", f"{corpus}/{data}"]
        command += [f"--{split}_data_path_and_name_and_type", f"{corpus}/wav.scp,speech,sound"]
        command += [f"--{split}_shape_file", f"{corpus}/utt2num_samples"]
    embed_utterances.main([
        str(tmp_path / "model"), str(corpus), "--embedding", f"campplus:{teacher}", "--output",
        str(corpus / "campplus"),
    ])  # fmt: skip
    command += ["--model", str(tmp_path / "model")]
    command += ["--speakers", f"{corpus}/speakers", "--head_conf", "hidden=8"]
    embedding_train.main(command)
    embedding_train.main([*command, "--max_epoch", "3"])  # resumed
    whole = ["--output_dir", str(tmp_path / "whole"), "--max_epoch", "3"]
    embedding_train.main([*command, *whole])
    resumed, uninterrupted = (
        torch.load(tmp_path / name / "3epoch.pth", weights_only=True) for name in ("train", "whole")
    )
    assert all(torch.equal(resumed[key], value) for key, value in uninterrupted.items())
    file = tmp_path / "train/valid.loss.ave.pth"
    assert file.stat().st_size < 50_000  # the head alone
    apply_pruning.main([str(file), "--output", str(tmp_path / "model")])
    diarizer = Diarizer.from_pretrained(tmp_path / "model", InferenceConfig(embedding="head"))
    embedder = diarizer.local.networks.embedder
    assert isinstance(embedder, HeadEmbedder) and embedder.head.config.hidden == 8
    data = windows.parent
    tune_diarization.main([
        str(tmp_path / "model"), str(data), "--output", str(tmp_path / "tuned.yaml"), "--device",
        "cpu", "--grid", f"embedding=ssl,head,campplus:{teacher}", "threshold=0.1,0.5",
    ])  # fmt: skip
    lines = capsys.readouterr().out
    assert all(name in lines for name in ("| ssl", "| head", "| campplus:"))
    assert "embedding:" in (tmp_path / "tuned.yaml").read_text()
    pack.main([str(tmp_path / "model"), "--output", str(tmp_path / "model.zip")])
    assert b"embedding/model.safetensors" in (tmp_path / "model.zip").read_bytes()
