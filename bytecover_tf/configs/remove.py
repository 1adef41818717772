"""Re-MOVE: a small MOVE taught by a large one (see `models/move.py`).

    python -m bytecover_tf.train --config remove --data shs100k2 --data-root DIR
        --teacher runs/shs100k2-move

Embeddings of 256 numbers, learned from a MOVE with the published 16 000:

    python -m bytecover_tf.train --config move --data shs100k2 --data-root DIR
        --set embedding_dim=16000

MAP on Da-TACOS in the paper: .524 with 256 numbers (table 2), .534 (table 1). Both
techniques of Yesiler, Serra and Gomez, "Less is more: faster and better music version
identification with embedding distillation", ISMIR 2020, take part:

- distillation: the squared distances in a batch are to be those of the teacher, by
  their mean absolute difference, beside MOVE's triplet loss;
- latent space reconfiguration: the convolutions start from the teacher's weights, and
  the linear layer behind them is new (`--set reconfigure=False` starts from random
  weights). For the normalised softmax, one of the losses that they compare there, add
  `--set classification=True --set classifier=cosine`.

Different here: they measure each technique alone. They train the new layer alone at
first, and the convolutions at a far lower rate then; here all is trained at one rate.
Optimiser as for ByteCover. Cost: that of MOVE, and the teacher's forward pass.
"""

from dataclasses import replace

from bytecover_tf.configs.move import config as move

config = replace(move, embedding_dim=256, teaching="distances", reconfigure=True)
