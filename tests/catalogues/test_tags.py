import av
import numpy as np
import pytest

from bytecover_tf.catalogues.tags import Tags, read_tags

pytest.importorskip("mutagen")

CODECS = {
    "mp3": "libmp3lame",
    "flac": "flac",
    "m4a": "aac",
    "ogg": "libopus",
    "opus": "libopus",
}


def write(path, codec, metadata):
    """A second of noise with tags, written by FFmpeg's libraries."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=48000, layout="stereo")
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


def test_several_artists_are_joined(tmp_path):
    import mutagen

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
