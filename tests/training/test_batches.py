import numpy as np
import pytest
import soundfile

from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.data.track import Track
from bytecover_tf.errors import StoreError
from bytecover_tf.training.augment import Augment
from bytecover_tf.training.batches import (
    CropBatches,
    StoreReader,
    WaveformReader,
    tf_dataset,
)
from bytecover_tf.training.sampler import PKSampler

ALL = Augment(
    stretch=0.5, transpose=0.5, mask_bins=0.5, mask_frames=0.5, tilt=0.5, noise=0.5
)


def batches(small_set, augment, crop_frames=(8, 12), seed=0):
    tracks, store = small_set
    labels = np.array([int(track.work.split()[1]) for track in tracks])
    sampler = PKSampler(labels, 4, 3, seed)
    reader = StoreReader(store, tracks)
    return CropBatches(reader, labels, sampler, crop_frames, augment, 84, seed)


def test_crops_are_stretches_of_their_recordings(small_set):
    tracks, store = small_set
    make = batches(small_set, Augment())
    for number in range(5):
        features, works = make(number)
        assert features.shape == (12, 84, features.shape[2], 1)
        assert features.shape[2] in (8, 12)
        assert features.dtype == np.float32
        assert works.dtype == np.int32
        for row, index in enumerate(make.sampler.batch(number)):
            assert works[row] == int(tracks[index].work.split()[1])
            crop = features[row, ..., 0]
            whole = store.features(tracks[index].path)
            starts = range(whole.shape[1] - crop.shape[1] + 1)
            assert any(
                np.array_equal(whole[:, s : s + crop.shape[1]], crop) for s in starts
            )


def test_all_lengths_and_starts_occur(small_set):
    make = batches(small_set, Augment())
    lengths = {make(number)[0].shape[2] for number in range(20)}
    assert lengths == {8, 12}
    rng = np.random.default_rng(0)
    crops = {make.reader.crop(0, 20, rng).tobytes() for _ in range(100)}
    assert len(crops) == 24 - 20 + 1


def test_short_recordings_are_repeated(small_set):
    tracks, store = small_set
    make = batches(small_set, Augment(), crop_frames=(60,))
    features, _ = make(0)
    for row, index in zip(features[..., 0], make.sampler.batch(0), strict=True):
        whole = store.features(tracks[index].path)
        np.testing.assert_array_equal(row, np.tile(whole, 3)[:, :60])


def test_batches_follow_from_seed_and_number(small_set):
    ours, theirs = batches(small_set, ALL), batches(small_set, ALL)
    expected = [ours(number) for number in range(6)]
    for number in reversed(range(6)):
        features, works = theirs(number)
        np.testing.assert_array_equal(features, expected[number][0])
        np.testing.assert_array_equal(works, expected[number][1])
    other = batches(small_set, ALL, seed=1)
    assert other(0)[0].tobytes() != expected[0][0].tobytes()


def test_dataset_gives_the_same_batches_in_order_from_any_start(small_set):
    make = batches(small_set, ALL)
    dataset = list(tf_dataset(make, 3, 20))
    assert len(dataset) == 20
    for number, (features, works) in enumerate(dataset, 3):
        expected = make(number)
        np.testing.assert_array_equal(features, expected[0])
        np.testing.assert_array_equal(works, expected[1])


@pytest.mark.parametrize("here", [[0], [1], [0, 1]])
def test_replicas_make_their_rows_of_the_same_batches(small_set, here):
    make = batches(small_set, ALL)
    shares = [make.sampler.share(replica, 2) for replica in here]
    elements = iter(tf_dataset(make, 3, 4, shares))
    for number in range(3, 7):
        features, works = make(number)
        for share in shares:
            ours = next(elements)
            assert ours[1].shape == (6,)
            np.testing.assert_array_equal(ours[0], features[share])
            np.testing.assert_array_equal(ours[1], works[share])
    assert next(elements, None) is None


def test_a_stretched_crop_covers_more_or_less_of_the_recording(small_set):
    tracks, store = small_set
    slow = Augment(stretch=1.0, stretch_range=(2.0, 2.0))
    features, _ = batches(small_set, slow, crop_frames=(16,))(0)
    index = batches(small_set, slow).sampler.batch(0)[0]
    whole = store.features(tracks[index].path)
    # 16 frames at half speed are 8 frames of the recording, its ends unchanged.
    first, last = features[0, :, 0, 0], features[0, :, 15, 0]
    start = next(s for s in range(whole.shape[1]) if np.array_equal(whole[:, s], first))
    np.testing.assert_allclose(last, whole[:, start + 7], atol=1e-6)


def test_a_track_without_features_is_refused(small_set):
    _, store = small_set
    with pytest.raises(StoreError, match="missing"):
        StoreReader(store, [Track("x", "w", "/missing.wav")])


def test_waveform_crops_are_features_of_a_stretch_of_audio(tmp_path, music, rng):
    frontend = Frontend(pool=20)
    samples = music(12)
    path = tmp_path / "song.wav"
    soundfile.write(path, samples, 22050, subtype="FLOAT")
    reader = WaveformReader(frontend, [Track("1", "w", str(path))])
    crop = reader.crop(0, 10, rng)
    assert crop.shape == (10, 84)
    assert crop.max() == 1
    # The same generator draws the same start.
    start = int(np.random.default_rng(7).integers(len(samples) - 10 * 20 * 512 + 1))
    expected = frontend.features(samples[start : start + 10 * 20 * 512])
    np.testing.assert_allclose(crop.T, expected[:, :10], atol=1e-6)
    whole = reader.crop(0, 1000, rng)
    np.testing.assert_allclose(whole.T, frontend.features(samples), atol=1e-6)
