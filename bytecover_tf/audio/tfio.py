"""Decoding inside a TensorFlow graph, by tensorflow-io (the extra `tfio`).

For wav (8, 16 or 24 bits, or 32-bit float), flac, Ogg Vorbis and mp3. The
samples are those of `decoding.load_audio` with a signal-to-noise ratio above 70 dB
in the band below 9 kHz, and of 30 dB or more in all, since the low-pass filter
of tensorflow-io sets in earlier (-3 dB at 10 kHz). For recordings sampled at
less than 22 050 Hz the ratio is 35 dB or more.

`load_audio` reads more formats, is several times as fast, refuses files that are
truncated or silent, which this decoder lets pass, and reads the loudest channel where
the channels cancel one another.
"""

import tensorflow as tf

from bytecover_tf.errors import ByteCoverError

try:
    from tensorflow_io.python.ops import core_ops

    # The first access to an operation loads the library behind it.
    _resample_op = core_ops.io_audio_resample
except (ImportError, NotImplementedError) as error:
    raise ByteCoverError(
        "decoding in the graph needs tensorflow-io and the TensorFlow release it was "
        "built for: install the extra with `pip install bytecover_tf[tfio]` "
        f"(found TensorFlow {tf.__version__})"
    ) from error

SAMPLE_RATE = 22050


def decode(path: tf.Tensor) -> tf.Tensor:
    """Decode a recording, for use in `tf.data.Dataset.map`.

    Args:
        path: scalar string, an audio file.

    Returns:
        The mean over all channels at 22 050 Hz, float32 of shape (samples,).

    Raises:
        tf.errors.OpError: when the graph runs, if the file is missing or
            cannot be decoded, or has no samples or some that are not finite.
    """
    resource = core_ops.io_audio_readable_init(path)
    _, code, rate = core_ops.io_audio_readable_spec(resource)

    def read(dtype: tf.DType) -> tf.Tensor:
        samples = core_ops.io_audio_readable_read(resource, 0, -1, dtype=dtype)
        return tf.reduce_mean(_scaled(samples), axis=1)

    samples = tf.case(
        [
            (tf.equal(code, dtype.as_datatype_enum), lambda dtype=dtype: read(dtype))
            for dtype in (tf.uint8, tf.int16, tf.int32, tf.float32)
        ],
        exclusive=True,
    )
    usable = (tf.size(samples) > 0) & tf.reduce_all(tf.math.is_finite(samples))
    # tensorflow-io reads 32-bit integers as floating point.
    expected = "has no samples, or some that are not finite, or 32-bit integers"
    with tf.control_dependencies([tf.debugging.Assert(usable, [path, expected])]):
        samples = tf.identity(samples)
    same_rate = tf.equal(rate, SAMPLE_RATE)
    return tf.cond(same_rate, lambda: samples, lambda: _resample(samples, rate))


def _scaled(samples: tf.Tensor) -> tf.Tensor:
    scaled = tf.cast(samples, tf.float32)
    if samples.dtype == tf.uint8:
        return (scaled - 128) / 128
    if samples.dtype.is_integer:
        return scaled / -float(samples.dtype.min)
    return scaled


def _resample(samples: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
    """Resample without delay.

    The operation, a Speex resampler of quality 4, delays by half the length of
    its filter. Zeros before the samples make that one second, which is a whole
    number of samples at both rates.
    """
    rate = tf.cast(rate, tf.int64)
    taps = 64 * tf.maximum(rate, SAMPLE_RATE) // SAMPLE_RATE
    delay = ((taps - 1) // 8 * 8 + 8) // 2
    padded = tf.pad(samples, [[rate - delay, rate]])
    resampled = _resample_op(padded[:, None], rate_in=rate, rate_out=SAMPLE_RATE)
    count = (tf.size(samples, tf.int64) * SAMPLE_RATE + rate // 2) // rate
    return resampled[SAMPLE_RATE : SAMPLE_RATE + count, 0]
