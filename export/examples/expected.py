"""Print the embeddings that the examples must give: python expected.py RUN SONG ..."""

import json
import sys

from bytecover_tf import load_encoder

encoder = load_encoder(sys.argv[1])
embeddings, errors = encoder.try_audio(sys.argv[2:])
if errors:
    sys.exit("\n".join(errors.values()))
print(json.dumps(embeddings.tolist()))
