"""Encoders as files that other programs run: SavedModel and ONNX.

python -m export --encoder RUN_OR_FILE --out DIR
"""

FORMATS = ("saved_model", "onnx")
INPUTS = ("features", "waveform")
PRECISIONS = ("float32", "float16", "int8")
