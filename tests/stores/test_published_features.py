import h5py
import numpy as np
import pytest

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.errors import AudioError
from bytecover_tf.models.pitch_classes import transposable_pitch_classes
from bytecover_tf.stores.extraction import extract_features
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.stores.published_features import read_published


def write(path, **features):
    """A file as acoss saves it: arrays beside groups and texts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, values in features.items():
            file.create_dataset(name, data=values, compression="gzip")
        file.create_group("key_extractor").attrs["key"] = "C"
        file.attrs["label"] = "W_22"
    return path


def notes(first, frames=7):
    """Pitch classes (frames, 12) of a scale from C, columns counted from `first`."""
    scale = np.zeros((frames, 12), np.float32)
    for frame in range(frames):
        scale[frame, (frame // 2 * 2 - first) % 12] = 1 + frame % 2
    return scale


@pytest.mark.parametrize(
    ("features", "first"),
    [({"crema": 0}, 0), ({"hpcp": 9}, 9), ({"chroma_cens": 0}, 0)],
)
def test_pitch_classes_stand_in_the_middle_octave(tmp_path, features, first):
    (name,) = features
    path = write(tmp_path / "P_1.h5", **{name: notes(first)})
    found = read_published(path, Frontend())
    # Two of acoss's frames are one of the transform; the seventh is dropped.
    assert found.shape == (84, 3)
    expected = np.zeros((84, 3))
    expected[36 + np.array([0, 2, 4]), np.arange(3)] = 1.5
    np.testing.assert_array_equal(found, expected)


def test_the_first_known_feature_is_read(tmp_path):
    both = write(tmp_path / "P_1.h5", hpcp=notes(9), crema=2 * notes(0))
    assert read_published(both, Frontend()).max() == 3


def test_a_transform_from_another_note(tmp_path):
    path = write(tmp_path / "P_1.h5", crema=notes(0))
    lower = Frontend(fmin=27.5)  # A0
    found = read_published(path, lower)
    assert np.flatnonzero(found[:, 0]).tolist() == [36 + 3]  # C is the third above A


def test_extraction_reads_them_and_folding_returns_them(tmp_path, rng):
    classes = rng.random((200, 12)).astype(np.float32)
    path = write(tmp_path / "W_1" / "P_1.h5", crema=classes)
    broken = tmp_path / "P_2.h5"
    broken.write_bytes(b"no such file")
    frontend = Frontend(pool=20)
    report = extract_features([str(path), str(broken)], tmp_path / "store", frontend, 1)
    assert list(report.failed) == [str(broken)]
    (features,) = [FeatureStore(tmp_path / "store").features(str(path))]
    means = classes.reshape(5, 40, 12).mean(axis=1).T
    folded = np.asarray(transposable_pitch_classes(features[None, ..., None]))[
        0, :12, :, 0
    ]
    # Networks scale each frame.
    folded, means = (array / np.linalg.norm(array, axis=0) for array in (folded, means))
    np.testing.assert_allclose(folded, means, atol=2e-3)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"mfcc_htk": np.ones((4, 20))}, "one of crema, hpcp, chroma_cens, found"),
        ({"crema": np.ones((4, 20))}, r"expected crema to be numbers of shape"),
        ({"crema": np.ones((1, 12))}, "crema has 1 frames, expected 2"),
    ],
)
def test_files_without_usable_features(tmp_path, features, message):
    path = write(tmp_path / "P_1.h5", **features)
    with pytest.raises(AudioError, match=message):
        read_published(path, Frontend())


@pytest.mark.parametrize(
    "frontend", [Frontend(hop_length=384), Frontend(bins_per_octave=36, n_bins=84)]
)
def test_other_frames_or_bins_are_refused(tmp_path, frontend):
    path = write(tmp_path / "P_1.h5", crema=notes(0))
    with pytest.raises(AudioError, match="whole octaves of 12 bins and frames"):
        read_published(path, frontend)
