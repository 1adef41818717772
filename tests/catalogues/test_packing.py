import numpy as np

from bytecover_tf.catalogues.packing import BYTES_PER_FRAME, pack, unpack


def test_sixteen_levels_come_back(rng):
    chroma = rng.integers(0, 256, (12, 200), np.uint8)
    packed = pack(chroma)
    assert len(packed) == 200 * BYTES_PER_FRAME
    levels = np.round(chroma / 17).astype(np.uint8)
    np.testing.assert_array_equal(unpack(packed), levels * 17)
    assert pack(unpack(packed)) == packed


def test_a_cut_between_frames_is_a_cut_chroma(rng):
    chroma = rng.integers(0, 256, (12, 9), np.uint8)
    packed = pack(chroma)
    np.testing.assert_array_equal(
        unpack(packed[: 4 * BYTES_PER_FRAME]), unpack(packed)[:, :4]
    )
