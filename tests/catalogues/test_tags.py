import av
import numpy as np
import pytest

from bytecover_tf.catalogues.tags import Tags, read_tags

mutagen = pytest.importorskip("mutagen")

CODECS = {
    "mp3": "libmp3lame",
    "flac": "flac",
    "m4a": "aac",
    "ogg": "libopus",
    "opus": "libopus",
    "wav": "pcm_s16le",
    "mka": "libopus",
    "webm": "libopus",
    "wma": "wmav2",
    "mov": "aac",
    "caf": "pcm_s16le",
}


def write(path, codec, metadata):
    """A second of noise with tags, written by FFmpeg's libraries."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=48000, layout="stereo")
        stream.bit_rate = 128_000
        # Ogg keeps tags with the stream, other formats with the file.
        file.metadata.update(metadata)
        stream.metadata.update(metadata)
        samples = np.random.default_rng(0).uniform(-0.1, 0.1, (2, 48000))
        frame = av.AudioFrame.from_ndarray(samples.astype(np.float32), "fltp", "stereo")
        frame.rate = 48000
        resampler = av.AudioResampler(stream.format.name, "stereo", 48000, 960)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))


@pytest.mark.parametrize("suffix", CODECS)
def test_tags_of_every_usual_format(tmp_path, suffix):
    path = tmp_path / f"file.{suffix}"
    metadata = {"title": "Ça ira ", "artist": "Édith", "album": "“Live”"}
    write(path, CODECS[suffix], metadata)
    assert read_tags(path) == Tags("Ça ira", "Édith", "“Live”")


@pytest.mark.parametrize("suffix", ["wav", "aiff", "aac"])
def test_id3_in_formats_that_have_it_as_an_addition(tmp_path, suffix):
    from mutagen import id3

    tags = {id3.TIT2: "Ça ira", id3.TPE1: "Édith", id3.TALB: "Live"}
    path = tmp_path / f"file.{suffix}"
    if suffix == "aac":  # before the sound, as in an mp3
        write(tmp_path / "sound.aac", "aac", {})
        file = id3.ID3()
    else:
        write(path, "pcm_s16le" if suffix == "wav" else "pcm_s16be", {})
        file = mutagen.File(path)
        file.add_tags()
    for kind, text in tags.items():
        (file if suffix == "aac" else file.tags).add(kind(encoding=3, text=text))
    if suffix == "aac":
        file.save(path)
        path.write_bytes(path.read_bytes() + (tmp_path / "sound.aac").read_bytes())
    else:
        file.save()
    assert read_tags(path) == Tags("Ça ira", "Édith", "Live")


def test_several_artists_are_joined(tmp_path):
    path = tmp_path / "file.flac"
    write(path, "flac", {})
    file = mutagen.File(path, easy=True)
    file["artist"] = ["One", "Two"]
    file.save()
    assert read_tags(path) == Tags("file", "One; Two", "")


@pytest.mark.parametrize("content", [b"", b"ID3\x04\0\0\x7f\x7f\x7f\x7f", b"fLaC" * 9])
def test_a_file_without_readable_tags_is_called_by_its_name(tmp_path, content):
    path = tmp_path / "My song.v2.mp3"
    path.write_bytes(content)
    assert read_tags(path) == Tags("My song.v2")
    assert read_tags(tmp_path / "none.flac") == Tags("none")
