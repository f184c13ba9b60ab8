"""Command line tools: ``espnet-prune VERB``, or ``python -m espnet_prune.bin.VERB``.

One thin file per verb; :data:`GROUPS` is their order in ``espnet-prune --help``.
"""

import os

# OpenMP reads it when torch is loaded. Threads that wait sleep, where they would spin otherwise:
# beside another job on the cores, encoders take up to half as long again when they spin.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

GROUPS = {
    "data": ("prepare_data", "check_data", "make_windows"),
    "training (options of ESPnet)": ("distill_train", "powerset_train", "asr_train", "slu_train",
                                     "diar_train", "embedding_train"),
    "models": ("convert", "profile", "explain", "compress", "apply_pruning", "export", "pack"),
    "inference": ("diarize", "diarize_stream", "serve", "embed_utterances", "tune_diarization"),
    "scores and reports": ("score_der", "compare_der", "score_asr", "report"),
}  # fmt: skip
"""The verbs by what they are for."""
