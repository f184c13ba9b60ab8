"""How fast encoders are, side by side with their peers on the same weights."""

import espnet_prune.bin  # noqa: F401  how threads wait, which torch reads when it is loaded
