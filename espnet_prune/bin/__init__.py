"""Command line tools: ``espnet-prune VERB``, or ``python -m espnet_prune.bin.VERB``.

One thin file per verb; :data:`GROUPS` is their order in ``espnet-prune --help``.
"""

GROUPS = {
    "data": ("prepare_data", "check_data", "make_windows"),
    "training (options of ESPnet)": ("distill_train", "powerset_train", "asr_train", "slu_train",
                                     "diar_train", "embedding_train", "run"),
    "models": ("convert", "profile", "apply_pruning", "export", "pack"),
    "inference": ("diarize", "diarize_stream", "serve", "embed_utterances", "tune_diarization"),
    "scores and reports": ("score_der", "compare_der", "score_asr", "report", "plot"),
}  # fmt: skip
"""The verbs by what they are for."""
