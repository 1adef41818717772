"""One interface to trained encoders of every kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

import numpy as np

from bytecover_tf.audio.constant_q import check_magnitudes
from bytecover_tf.audio.decoding import check_waveform, load_audio
from bytecover_tf.audio.frontend import LONGEST_WORK, Frontend
from bytecover_tf.audio.hearing import DEFAULT_HEARING, Heard
from bytecover_tf.audio.windows import loudness, sounds
from bytecover_tf.cores import begun_early, usable_cores
from bytecover_tf.encoders import probe
from bytecover_tf.encoders.foreign_onnx import ForeignOnnxNetwork, description_of
from bytecover_tf.encoders.hearing_network import HearingNetwork
from bytecover_tf.encoders.pretrained import locate
from bytecover_tf.encoders.runtimes import (
    MANIFEST,
    NOTES,
    KerasNetwork,
    LiteNetwork,
    Network,
    OnnxNetwork,
    SavedModelNetwork,
)
from bytecover_tf.encoders.saving import copy_encoder
from bytecover_tf.errors import ByteCoverError, ConfigError, EncoderError, explain
from bytecover_tf.files import JsonObject, content_hash, json_object

T = TypeVar("T")

# Most frames that the network gets at once, which bounds memory: 16 tracks of four
# minutes.
_BATCH_FRAMES = 16 * 104
# Parts of so many seconds of a recording that is longer than `LONGEST_WORK` have a say
# each, so that versions of its works are near it. Ten of twelve versions of the tunes
# in an album of 14 minutes were nearer to it than to any other tune; one of twelve when
# the network read the album as a whole.
PART = 20.0
# What runs an exported file, by its ending, the preferred one first.
_RUNTIMES = {".onnx": "onnxruntime", ".pb": "tensorflow", ".tflite": "ai_edge_litert"}
# How many inputs have their features in memory at once, and about how many bytes.
_AT_ONCE, _BYTES_AT_ONCE = 256, 2**28


class Embedded(NamedTuple):
    """Embeddings of recordings, and why some have none.

    Attributes:
        vectors: float32 (N, dim); a row of NaN where there is none.
        errors: the reasons, by position.
    """

    vectors: np.ndarray
    errors: dict[int, str]


class _Prepared(NamedTuple):
    """What the network reads of a recording.

    Attributes:
        array: features (n_bins, T) or samples.
        notes: those that were heard in it, if that is known and the network reads them.
    """

    array: np.ndarray
    notes: np.ndarray | None = None


class Encoder:
    """Turns recordings into embeddings.

    An embedding is f_c at unit norm, so that a dot product is the cosine similarity. A
    recording that cannot be embedded does not affect the others. `try_audio`,
    `try_waveforms` and `try_features` return embeddings and errors together, and may
    run in several threads. `embed_audio` and its siblings return the embeddings alone,
    float32 `(N, dim)`, with a row of NaN for a recording that has none.

    Args:
        network: function from features to f_c; or from samples, if its attribute
            `source` is `waveform`.
        info: facts about how the network was made.

    Attributes:
        frontend: parameters of the features.
        dim: size of an embedding.
        info: facts about how the network was made.
        reads_samples: whether the network reads samples, and so no features.
        errors: why recordings of the last call of `embed_audio` or a sibling failed,
            by their position in it.
    """

    def __init__(self, network: Network, info: JsonObject | None = None) -> None:
        self._network = network
        self.frontend = network.frontend
        self.dim = network.dim
        self.info = info or {}
        self.errors: dict[int, str] = {}
        self._path: Path | None = None
        self.reads_samples = getattr(network, "source", "features") == "waveform"
        # The checksum of the network that hears the notes that this one reads.
        self._hearing = getattr(network, "hearing", "")

    def embed_audio(self, paths: Iterable[str | Path]) -> np.ndarray:
        """Return the vectors of `try_audio`, and keep its `errors`."""
        return self._keep(self.try_audio(paths))

    def embed_waveforms(self, waveforms: Iterable[np.ndarray]) -> np.ndarray:
        """Return the vectors of `try_waveforms`, and keep its `errors`."""
        return self._keep(self.try_waveforms(waveforms))

    def embed_features(
        self,
        features: Iterable[np.ndarray],
        names: Sequence[str] | None = None,
        heard: Sequence[Heard | None] | None = None,
    ) -> np.ndarray:
        """Return the vectors of `try_features`, and keep its `errors`."""
        return self._keep(self.try_features(features, names, heard))

    def save_pretrained(self, folder: str | Path) -> None:
        """Copy the encoder into a folder, which `load_encoder` then takes.

        Args:
            folder: must not exist, or be empty.

        Raises:
            EncoderError: the folder holds something; or the encoder was not loaded
                from a file, or from an ONNX file without its bundle.
            OSError: it cannot be written.
        """
        if self._path is None:
            raise EncoderError(
                "this encoder was not loaded from a file; write its model by "
                "`encoders.model_file.save_model`"
            )
        copy_encoder(self._path, Path(folder))

    def _keep(self, embedded: Embedded) -> np.ndarray:
        self.errors = embedded.errors
        return embedded.vectors

    def try_audio(self, paths: Iterable[str | Path]) -> Embedded:
        """Embed audio files.

        Args:
            paths: files that `load_audio` reads.
        """
        prepare = self._load if self.reads_samples else self._extract
        return self._embed(paths, prepare, lambda _, path: str(path))

    def try_waveforms(self, waveforms: Iterable[np.ndarray]) -> Embedded:
        """Embed samples.

        Args:
            waveforms: 1-D float arrays at the frontend's sample rate.
        """
        prepare = self._check if self.reads_samples else self.frontend.features
        return self._embed(waveforms, prepare, lambda index, _: f"waveform {index}")

    def try_features(
        self,
        features: Iterable[np.ndarray],
        names: Sequence[str] | None = None,
        heard: Sequence[Heard | None] | None = None,
    ) -> Embedded:
        """Embed pooled features.

        Args:
            features: arrays (n_bins, T), any T from 1, as `Frontend.features`
                returns them.
            names: what `errors` calls each; by default `features` and its number.
            heard: what was heard in each. An encoder that reads notes of the same
                network then need not hear them again; others take no notice.

        Raises:
            EncoderError: the encoder was exported from the waveform alone.
        """
        if self.reads_samples:
            raise EncoderError(
                "this encoder reads waveforms only; export it with --inputs features, "
                "if it is one of this package"
            )
        return self._embed(
            features,
            self._check_features,
            lambda index, _: names[index] if names else f"features {index}",
            [
                each.notes if each and each.network == self._hearing else None
                for each in heard or ()
            ],
        )

    def _check_features(self, features: np.ndarray, name: str) -> np.ndarray:
        """Return features for a network that reads them, normalised or not."""
        features = check_magnitudes(features, self.frontend.n_bins, name)
        features = features.astype(np.float32, copy=False)
        self.frontend.check_pooled(features, name)
        return features

    def _extract(self, path: str | Path, _name: str) -> np.ndarray:
        return self.frontend.extract(path)

    def _load(self, path: str | Path, name: str) -> np.ndarray:
        return self._check(load_audio(path, self.frontend.sample_rate), name)

    def _check(self, samples: np.ndarray, name: str) -> np.ndarray:
        """Return samples for a network that reads them."""
        samples = np.asarray(samples)
        check_waveform(samples, name)
        self.frontend.check_length(len(samples), name)
        return samples.astype(np.float32, copy=False)

    def _embed(
        self,
        inputs: Iterable[T],
        prepare: Callable[[T, str], np.ndarray],
        name: Callable[[int, T], str],
        notes: Sequence[np.ndarray | None] = (),
    ) -> Embedded:
        """Embed the array that `prepare` makes of each input and its name."""
        errors: dict[int, str] = {}
        names: dict[int, str] = {}

        def attempt(item: tuple[int, T]) -> _Prepared | None:
            index, given = item
            names[index] = name(index, given)
            try:
                array = prepare(given, names[index])
            except Exception as error:  # one bad input must not stop a batch
                errors[index] = explain(error, names[index])
                return None
            return _Prepared(array, notes[index] if notes else None)

        parts = [np.empty((0, self.dim), np.float32)]
        first = 0
        # Decoding and the transform's FFTs run outside Python's lock.
        with ThreadPoolExecutor(usable_cores()) as pool:
            ahead = 2 * usable_cores()
            begun = begun_early(pool, attempt, enumerate(inputs), ahead)
            for prepared in _as_many_as_fit(begun):
                vectors, refused = self._embed_prepared(prepared)
                parts.append(vectors)
                for index, vector in enumerate(vectors, first):
                    if index - first in refused:
                        errors[index] = explain(refused[index - first], names[index])
                    elif index not in errors and np.isnan(vector).any():
                        errors[index] = f"{names[index]}: its embedding is not finite"
                first += len(prepared)
        return Embedded(np.concatenate(parts), dict(sorted(errors.items())))

    def _embed_prepared(
        self, prepared: Sequence[_Prepared | None]
    ) -> tuple[np.ndarray, dict[int, Exception]]:
        """Return the embeddings of features or samples, and NaN where there are none.

        Where the network refuses those of some length, there is also what it raised.

        That of a recording that is too long to be one work is the mean of its parts'.

        Only equal lengths share a batch: padding would change the statistics of
        instance normalisation, and with them the embedding.
        """
        alike: dict[tuple[int, bool], list[int]] = defaultdict(list)
        for index, item in enumerate(prepared):
            if item is not None:
                alike[item.array.shape[-1], item.notes is None].append(index)
        embeddings = np.full((len(prepared), self.dim), np.nan, np.float32)
        refused: dict[int, Exception] = {}
        for (length, _), indices in alike.items():
            group = [item for index in indices if (item := prepared[index])]
            try:
                if length > self._size(LONGEST_WORK):
                    parts = [self._embed_parts(item.array) for item in group]
                    embeddings[indices] = parts
                else:
                    embeddings[indices] = self._embed_alike(group)
            except ByteCoverError:  # of a server that is lost, say
                raise
            except Exception as error:  # the network may need more frames
                refused.update(dict.fromkeys(indices, error))
        return embeddings, refused

    def _size(self, seconds: float) -> int:
        """Return how many frames or samples last so long."""
        if self.reads_samples:
            return round(seconds * self.frontend.sample_rate)
        return round(seconds / self.frontend.seconds_per_frame)

    def _embed_parts(self, array: np.ndarray) -> np.ndarray:
        """Return the mean direction, (dim,), of the parts of a long recording."""
        parts = [_Prepared(part) for part in parts_of(array, self._size(PART))]
        return mean_direction(self._embed_alike(parts))

    def _embed_alike(self, items: Sequence[_Prepared]) -> np.ndarray:
        """Return the embeddings of recordings of one length.

        Args:
            items: with notes or without, all alike.
        """
        frames = items[0].array.shape[-1]
        if self.reads_samples:
            frames //= self.frontend.pool * self.frontend.hop_length
        size = max(_BATCH_FRAMES // max(frames, 1), 1)
        batches = [items[first : first + size] for first in range(0, len(items), size)]
        return np.concatenate([_unit_norm(self._run(batch)) for batch in batches])

    def _run(self, items: Sequence[_Prepared]) -> np.ndarray:
        """Return f_c (batch, dim).

        Features are normalised a batch at a time: copies of all windows of a long
        recording would take several times its memory. Normalising those of a whole
        recording again changes nothing.
        """
        arrays, notes = zip(*items, strict=True)
        batch = np.stack(arrays)
        if not self.reads_samples:
            self.frontend.normalize(batch)
            batch = batch[..., np.newaxis]
        if notes[0] is None:
            return self._network(batch)
        return cast(HearingNetwork, self._network)(batch, np.stack(notes))


def _as_many_as_fit(
    prepared: Iterable[_Prepared | None],
) -> Iterator[list[_Prepared | None]]:
    """Yield inputs in order, as many at a time as memory may hold."""
    held: list[_Prepared | None] = []
    size = 0
    for one in prepared:
        held.append(one)
        size += one.array.nbytes if one else 0
        if len(held) >= _AT_ONCE or size >= _BYTES_AT_ONCE:
            yield held
            held, size = [], 0
    if held:
        yield held


def parts_of(array: np.ndarray, size: int) -> list[np.ndarray]:
    """Return parts of equal length of frames or samples that are not silent.

    The last may overlap the one before.
    """
    length, loudest = array.shape[-1], loudness(array)
    starts = [*range(0, length - size, size), length - size]
    parts = (array[..., start : start + size] for start in starts)
    return [part for part in parts if sounds(part, loudest)]


def mean_direction(vectors: np.ndarray) -> np.ndarray:
    """Return the mean direction, (dim,), of vectors of unit norm; NaN counts not."""
    return _unit_norm(np.nansum(vectors, axis=0, keepdims=True))[0]


def _unit_norm(vectors: np.ndarray) -> np.ndarray:
    """Return vectors scaled to unit norm; a vector without direction becomes NaN."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    usable = np.isfinite(norms) & (norms > 0)
    return np.where(usable, vectors / np.where(usable, norms, 1), np.nan)


def load_encoder(
    path: str | Path,
    providers: Sequence[str] | None = None,
    threads: int | None = None,
) -> Encoder:
    """Return a trained encoder, whichever form it was saved in.

    Args:
        path: the name of an encoder that comes with the package, such as
            `bytecover-small`; a run directory of `bytecover_tf.train` or the
            `encoder.keras` in it; a bundle of `python -m export`, or an `.onnx` file in
            one; or an `.onnx` file of another system with a description beside it
            (`encoders.foreign_onnx`). From a bundle, a graph that reads features is
            preferred to one that reads waveforms, then the most precise one, then ONNX
            Runtime to TensorFlow and LiteRT.
        providers: for ONNX Runtime, its execution providers, the preferred one
            first.
        threads: for ONNX Runtime, the number of threads for one operation.

    Raises:
        EncoderError: there is no encoder, or it cannot be read.
    """
    path = locate(path)
    encoder = _load(path, providers, threads)
    encoder._path = path
    return encoder


def _load(path: Path, providers: Sequence[str] | None, threads: int | None) -> Encoder:
    if path.is_dir():
        return _from_folder(path, providers, threads)
    if path.suffix == ".onnx":
        if description := description_of(path):
            return Encoder(ForeignOnnxNetwork(path, description, providers, threads))
        network = OnnxNetwork(path, providers, threads)
        return _checked(network, network.info, network.info, path)
    return _from_keras(path)


def _from_folder(
    path: Path, providers: Sequence[str] | None, threads: int | None
) -> Encoder:
    manifest = path / MANIFEST
    if not manifest.exists():
        if (path / "encoder.keras").exists():
            return _from_keras(path / "encoder.keras")
        raise EncoderError(
            f"{path}: neither a run directory of train (encoder.keras is missing) "
            f"nor a bundle of export ({MANIFEST} is missing)"
        )
    try:
        facts = json_object(manifest.read_bytes(), "the text", EncoderError)
        if "hearing" in facts:
            raise EncoderError("of a network that hears notes, not of an encoder")
        frontend = Frontend.from_dict(facts["frontend"])
        info = {**facts["encoder"], "encoder_sha256": facts["encoder_sha256"]}
        usable = [item for item in facts["files"] if _is_usable(path / item["path"])]
        chosen = min(usable, key=_preference, default=None)
        expected = chosen and chosen["sha256"]
        notes = (chosen or {}).get(NOTES)
        tensor, hearing = (notes["tensor"], notes["hearing"]) if notes else ("", "")
    except (EncoderError, KeyError, TypeError, ValueError, ConfigError) as error:
        raise EncoderError(f"{manifest}: not a manifest of export ({error})") from None
    if chosen is None:
        raise EncoderError(
            f"{path}: none of the files that {MANIFEST} lists exists and can be used"
        )
    file, source = path / chosen["path"], chosen["input"]
    if content_hash(file) != expected:
        raise EncoderError(
            f"{file}: damaged, or not the file that {MANIFEST} lists; export the "
            "encoder again"
        )
    if file.suffix == ".tflite":
        lite = LiteNetwork(file, frontend, source)
        return _checked(lite, info, chosen, file)
    if file.suffix != ".onnx":
        saved = SavedModelNetwork(file.parent, frontend, source)
        return _checked(saved, info, chosen, file.parent)
    network: OnnxNetwork
    is_heard = hearing and hearing == DEFAULT_HEARING.checksum
    if is_heard and frontend.average == DEFAULT_HEARING.average:
        network = HearingNetwork(file, tensor, DEFAULT_HEARING, providers, threads)
    else:
        network = OnnxNetwork(file, providers, threads)
    if network.info.get("encoder_sha256") != info["encoder_sha256"]:
        raise EncoderError(f"{file}: was made from another encoder than {manifest}")
    return _checked(network, info, chosen, file)


def _is_usable(file: Path) -> bool:
    runtime = _RUNTIMES[file.suffix]
    return find_spec(runtime) is not None and file.is_file()


def _preference(variant: JsonObject) -> tuple[int, int, int]:
    """Return a key that sorts the variants of a bundle, best first."""
    return (
        ("features", "waveform").index(variant["input"]),
        ("float32", "float16", "int8").index(variant["precision"]),
        list(_RUNTIMES).index(Path(variant["path"]).suffix),
    )


def _checked(
    network: Network, info: JsonObject, variant: JsonObject, path: Path
) -> Encoder:
    if variant.get("input", "features") == "features":
        facts = {**info, "precision": variant.get("precision")}
        probe.check(network, network.frontend.n_bins, facts, path)
    return Encoder(network, info)


def _from_keras(path: Path) -> Encoder:
    from bytecover_tf.encoders.model_file import load_model

    model, info = load_model(path)
    frontend = Frontend.from_dict(info["frontend"])
    return Encoder(KerasNetwork(model, frontend), info)
