import numpy as np
import pytest

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


@pytest.mark.parametrize("parts", [1, 5])
def test_every_part_comes_back(parts, rng):
    chroma = rng.integers(0, 256, (12 * parts, 70), np.uint8)
    packed = pack(chroma)
    assert len(packed) == parts * 70 * BYTES_PER_FRAME
    found = unpack(packed, parts)
    assert found.shape == chroma.shape
    for part in range(parts):
        for row in range(12 * part, 12 * part + 12):
            levels = [round(int(value) / 17) for value in chroma[row]]
            np.testing.assert_array_equal(found[row], 17 * np.array(levels))
    assert pack(found) == packed


def test_parts_follow_one_another(rng):
    """So that a catalogue may keep each of them apart."""
    chroma = rng.integers(0, 256, (60, 9), np.uint8)
    packed = b"".join(pack(part) for part in np.split(chroma, 5))
    assert packed == pack(chroma)
