"""Models of any depth, with any activation.

`MLP` and `CNN` take ``num_models=K`` and are then K networks as one (`selfgated.stacked`). Their input is
(N, ...), one batch that all networks see, or (K, N, ...), a batch of its own for each; their output is
(K, N, C). With ``num_models=1`` (N, ...) gives (N, C), and (1, N, ...) gives (1, N, C).
"""

from selfgated.models.feedforward import CNN, MLP
from selfgated.models.recurrent import RNN
from selfgated.models.transformer import Transformer

__all__ = ["CNN", "MLP", "RNN", "Transformer"]
