import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from bytecover_tf.audio import hearing
from bytecover_tf.audio.chroma import (
    HEARD_PARTS,
    chroma_of_cqt,
    chroma_of_notes,
    note_means,
    seconds_per_frame,
)
from bytecover_tf.audio.constant_q import Transform
from bytecover_tf.audio.frontend import Frontend
from bytecover_tf.audio.hearing import DEFAULT_HEARING, Hearing
from bytecover_tf.audio.streaming import StreamedTransform
from bytecover_tf.errors import ConfigError, EncoderError
from bytecover_tf.files import content_hash

# Semitones above C1 of the tones of a scale, one a second, from C2 to D6.
SCALE = range(12, 63, 5)
FRAMES_PER_SECOND = 22050 / 512 / 10


def tone(semitone):
    """A second of eight decaying partials."""
    t = np.arange(22050) / 22050
    frequency = 440 * 2 ** ((semitone + 24 - 69) / 12)
    partials = (np.sin(2 * np.pi * frequency * h * t) / h for h in range(1, 9))
    return 0.3 * np.exp(-1.5 * t) * sum(partials)


@pytest.fixture(scope="module")
def scale():
    return np.concatenate([tone(semitone) for semitone in SCALE]).astype(np.float32)


@pytest.fixture(scope="module")
def magnitudes(scale):
    stream = StreamedTransform(DEFAULT_HEARING.average)
    for block in np.array_split(scale, 7):
        stream.add(block)
    (found,) = stream.finish()
    return found


def test_a_scale_is_heard_note_by_note(magnitudes):
    notes, onsets, melody = DEFAULT_HEARING.hear(magnitudes)
    assert len(notes) == 84
    for second, semitone in enumerate(SCALE):
        begin = round(second * FRAMES_PER_SECOND)
        inner = slice(begin + 1, begin + 4)
        heard = notes[:, inner].mean(axis=1)
        assert heard.argmax() == semitone
        # The harmonics of a note are not taken for notes.
        assert heard[semitone] > 0.6 > 0.5 > np.delete(heard, semitone).max()
        around = np.pad(onsets[semitone], 2)[begin : begin + 5]
        assert abs(around.argmax() - 2) <= 1
        # The lowest of them are heard as a bass.
        if semitone > 20:
            assert melody[:, inner].mean(axis=1).argmax() == semitone


@pytest.mark.parametrize("chunk", [64, 100])
def test_hearing_in_chunks_is_hearing_in_one_piece(magnitudes, chunk, monkeypatch):
    long = np.concatenate([magnitudes] * 4, axis=1)
    whole = DEFAULT_HEARING.hear(long)
    monkeypatch.setattr(hearing, "_CHUNK", chunk)
    found = DEFAULT_HEARING.hear(long)
    assert found.shape == whole.shape == (3, 84, long.shape[1] // 2)
    np.testing.assert_allclose(found, whole, atol=1e-5)


@pytest.mark.parametrize("frames", [0, 3, 201, 368])
def test_chroma_in_chunks_is_that_of_all_that_is_heard(magnitudes, frames, monkeypatch):
    long = np.concatenate([magnitudes] * 4, axis=1)[:, :frames]
    monkeypatch.setattr(hearing, "_CHUNK", 64)
    expected = chroma_of_notes(note_means(DEFAULT_HEARING.hear(long)))
    found = DEFAULT_HEARING.chroma(long)
    assert found.shape == (12 * HEARD_PARTS, frames // 4)
    np.testing.assert_array_equal(found[:48], expected)


def test_loudness_does_not_matter(magnitudes):
    np.testing.assert_allclose(
        DEFAULT_HEARING.hear(50 * magnitudes),
        DEFAULT_HEARING.hear(magnitudes),
        atol=1e-4,
    )


def test_a_last_odd_frame_is_dropped(magnitudes):
    assert DEFAULT_HEARING.hear(magnitudes[:, :41]).shape == (3, 84, 20)
    assert DEFAULT_HEARING.hear(magnitudes[:, :1]).shape == (3, 84, 0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 126, 131, 300, 1601, 1602, 1603])
def test_an_encoder_reads_notes_up_to_the_end(magnitudes, frames):
    given = np.tile(magnitudes, 20)[:, :frames]
    found = DEFAULT_HEARING.for_encoder(given, DEFAULT_HEARING.hear_means(given))
    assert found.network == DEFAULT_HEARING.checksum
    # Heard in one piece, with silence after it.
    padded = np.pad(given / given.mean(), ((0, 0), (0, -frames % 4)))
    session = onnxruntime.InferenceSession(
        DEFAULT_HEARING.path, providers=["CPUExecutionProvider"]
    )
    (heard,) = session.run(None, {"magnitudes": padded[None].astype(np.float32)})
    expected = heard[0].reshape(3, 84, -1, 2).mean(axis=-1)
    assert found.notes.shape == expected.shape == (3, 84, -(-frames // 4))
    assert found.notes.dtype == np.float32
    np.testing.assert_allclose(found.notes, expected, atol=1e-5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("frames", range(6))
def test_too_little_sound_has_no_chroma(frames):
    found = DEFAULT_HEARING.chroma(np.ones((252, frames), np.float32))
    assert found.shape == (60, frames // 4)


def test_silence_has_no_notes():
    assert DEFAULT_HEARING.hear(np.zeros((252, 40), np.float32)).max() < 0.5


def test_chroma_is_that_of_the_notes_and_that_of_the_transform(magnitudes):
    found = DEFAULT_HEARING.chroma(magnitudes)
    assert found.dtype == np.uint8
    frames = magnitudes.shape[1] // 4
    assert found.shape == (12 * HEARD_PARTS, frames) == (60, 23)
    heard = chroma_of_notes(note_means(DEFAULT_HEARING.hear(magnitudes)))
    np.testing.assert_array_equal(found[:48], heard[:, :frames])
    fine = Transform(n_bins=252, bins_per_octave=36)
    plain = chroma_of_cqt(np.repeat(magnitudes, 5, axis=1), transform=fine)
    np.testing.assert_allclose(found[48:].astype(int), plain, atol=1)
    for second, semitone in enumerate(SCALE):
        frame = round((second + 0.5) * FRAMES_PER_SECOND / 2 - 0.5)
        for part in (0, 4):
            classes = found[12 * part : 12 * part + 12, frame]
            assert classes.argmax() == semitone % 12


def test_a_clip_is_heard_once_for_all(magnitudes):
    found, notes, later = DEFAULT_HEARING.listen(magnitudes, for_encoder=True)
    np.testing.assert_array_equal(found, DEFAULT_HEARING.chroma(magnitudes))
    expected = DEFAULT_HEARING.for_encoder(
        magnitudes, DEFAULT_HEARING.hear_means(magnitudes)
    )
    np.testing.assert_array_equal(notes.notes, expected.notes)
    # As if the clip began half a frame later, but for the loudness of all of it and
    # what is heard at the border.
    expected = DEFAULT_HEARING.chroma(magnitudes[:, 2:])
    assert later.shape == expected.shape
    away = np.abs(later.astype(int) - expected)
    np.testing.assert_array_equal(later[48:], expected[48:])
    assert (away[:, 8:] > 8).mean() < 0.05
    # The clip itself is another.
    away = np.abs(later.astype(int) - found[:, : later.shape[1]])
    assert (away > 8).mean() > 0.2


@pytest.mark.parametrize("for_encoder", [False, True])
def test_what_is_no_clip_has_one_beginning(magnitudes, for_encoder):
    long = np.tile(magnitudes, 2)[:, :130]
    for some, is_clip in ((long[:, :129], True), (long, False)):
        found, notes, later = DEFAULT_HEARING.listen(some, for_encoder)
        np.testing.assert_array_equal(found, DEFAULT_HEARING.chroma(some))
        assert (notes is not None) == for_encoder
        assert (later is not None) == is_clip


def test_the_frontend_hears_in_the_same_pass(scale, magnitudes):
    frontend = Frontend(pool=20)
    features, found = frontend.features_with_chroma(scale, hearing=DEFAULT_HEARING)
    np.testing.assert_array_equal(features, frontend.features(scale))
    np.testing.assert_array_equal(found, DEFAULT_HEARING.chroma(magnitudes))
    _, plain = frontend.features_with_chroma(scale)
    assert plain.shape == (12, found.shape[1])


def test_another_clock_is_refused(scale):
    DEFAULT_HEARING.check_rate(Frontend())
    DEFAULT_HEARING.check_rate(Frontend(pool=20, n_bins=72))
    halved = Frontend(hop_length=1024)
    assert seconds_per_frame(halved) == seconds_per_frame(Frontend())
    DEFAULT_HEARING.check_rate(halved)
    for other in (
        Frontend(sample_rate=44100, hop_length=1024),
        Frontend(hop_length=768),
    ):
        with pytest.raises(ConfigError, match=f"{other.sample_rate} Hz with"):
            other.features_with_chroma(scale, hearing=DEFAULT_HEARING)


def test_what_is_no_network_is_named(tmp_path):
    missing = tmp_path / "none.onnx"
    with pytest.raises(EncoderError, match=r"none\.onnx: no network .*No such file"):
        _ = Hearing(str(missing)).checksum
    with pytest.raises(EncoderError, match=r"none\.onnx: no network .*No such file"):
        _ = Hearing(str(missing)).transform
    text = tmp_path / "text.onnx"
    text.write_text("no network")
    shipped = Path(DEFAULT_HEARING.path)
    encoder = shipped.parents[1] / "bytecover-small" / "encoder_features.onnx"
    for path in (text, encoder, shipped.with_suffix(".keras")):
        with pytest.raises(EncoderError, match=f"{path.name}: not a network that"):
            Hearing(str(path)).hear(np.ones((252, 4), np.float32))


def test_a_file_that_has_changed_is_read_again(tmp_path, magnitudes):
    path = tmp_path / "hearing.onnx"
    model = onnx.load(DEFAULT_HEARING.path)
    onnx.save(model, path)
    hearing = Hearing(str(path))
    before = hearing.hear(magnitudes)
    checksum = hearing.checksum
    pinned = Hearing(str(path), checksum)
    np.testing.assert_array_equal(pinned.hear(magnitudes), before)
    for weights in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.dtype == np.float32 and values.size > 50:
            weights.CopyFrom(onnx.numpy_helper.from_array(-values, weights.name))
    onnx.save(model, path)
    assert hearing.checksum != checksum
    assert np.abs(hearing.hear(magnitudes) - before).max() > 0.1
    with pytest.raises(EncoderError, match=r"hearing\.onnx: another network than"):
        pinned.hear(magnitudes)


def test_the_shipped_network_is_compared_with_its_checksum(tmp_path, monkeypatch):
    shipped = tmp_path / "hearing" / "hearing.onnx"
    shipped.parent.mkdir()
    model = onnx.load(DEFAULT_HEARING.path)
    model.doc_string = "another"
    onnx.save(model, shipped)
    (tmp_path / "SHA256SUMS").write_text(
        f"{content_hash(shipped)}  hearing/hearing.onnx\n"
    )
    monkeypatch.setattr(hearing, "_WEIGHTS", tmp_path)
    monkeypatch.setattr(hearing, "_SHIPPED", shipped)
    assert Hearing(str(shipped)).checksum == content_hash(shipped)
    model.doc_string = "damaged"
    onnx.save(model, shipped)
    with pytest.raises(EncoderError, match=r"hearing\.onnx: missing or damaged"):
        Hearing(str(shipped)).hear(np.ones((252, 4), np.float32))
    (tmp_path / "SHA256SUMS").write_text("")
    with pytest.raises(EncoderError, match="SHA256SUMS: does not list hearing"):
        _ = Hearing(str(shipped)).checksum


def test_a_network_that_was_exported_anew_is_known_as_before(tmp_path):
    first = "cd219948385914f77e8cf19542c1dd1798235a98c40064df947afe5d58d64574"
    copy = tmp_path / "copy.onnx"
    shutil.copy(DEFAULT_HEARING.path, copy)
    assert content_hash(copy) != first
    assert Hearing(str(copy)).checksum == DEFAULT_HEARING.checksum == first
    # A catalogue that was made with the first file names it.
    Hearing(str(copy), expected=first).hear(np.ones((252, 4), np.float32))
    with pytest.raises(EncoderError, match=f"another network .*{first[:12]}, not feed"):
        _ = Hearing(str(copy), expected="feed").checksum
    copy.write_bytes(copy.read_bytes() + b"\0\0")
    assert Hearing(str(copy)).checksum == content_hash(copy)


def test_it_goes_to_other_processes_and_needs_no_tensorflow():
    DEFAULT_HEARING.hear(np.ones((252, 4), np.float32))
    sent = pickle.dumps(DEFAULT_HEARING)
    assert len(sent) < 1000
    code = (
        "import pickle, sys, numpy as np\n"
        f"hearing = pickle.loads({sent!r})\n"
        "assert hearing.chroma(np.ones((252, 40), np.float32)).shape == (60, 10)\n"
        "assert not {'tensorflow', 'keras', 'librosa'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
        env=os.environ,
    )
