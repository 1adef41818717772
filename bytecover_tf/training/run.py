"""The request for a training: saved in its run directory, and continued from there.

`run.json` in the run directory holds the request. `training.loop` lists the other
files.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from pathlib import Path

from bytecover_tf.data import read_tracks
from bytecover_tf.data.datacos import without_overlap
from bytecover_tf.data.features import default_store, open_features
from bytecover_tf.data.track import Track
from bytecover_tf.encoders.model_file import encoder_checksum, versions
from bytecover_tf.encoders.pretrained import is_pretrained_name, lasting
from bytecover_tf.errors import ByteCoverError, ConfigError
from bytecover_tf.files import (
    JsonObject,
    content_hash,
    is_unfinished,
    json_object,
    lock_if_possible,
    write_atomically,
)
from bytecover_tf.settings import take
from bytecover_tf.stores.feature_store import FeatureStore
from bytecover_tf.terminal import show
from bytecover_tf.training.config import Config, override
from bytecover_tf.training.loop import train
from bytecover_tf.training.replicas import Replicas, join

REQUEST = "run.json"
LOCK = ".lock"
# Runs of older versions lack these names.
_LATER = ("init", "teacher")
_PATHS = ("data_root", "features", "without_datacos")


@dataclass(frozen=True)
class TrainingRun:
    """What to train, on which data.

    Paths are made absolute, so that a run can be continued from another folder.

    Attributes:
        config: all settings.
        config_name: what the experiment is called.
        data: name of the data set, a key of `DATASETS`.
        data_root: folder of the data set, or the file of a manifest.
        features: the feature store; None for that beside the data.
        without_datacos: for shs100k and shs100k2, the folder of Da-TACOS's metadata,
            whose recordings are left out of the training.
        split_seed: divides the works of data that has no split.
        source_pool: how many frames a column of `.npy` recordings averages; None for
            what the store says, and 1 for recordings that it lacks.
        waveforms: crop audio files instead of features.
        init: an encoder whose weights to start from: a name that comes with the
            package, a run directory or a `.keras` file.
        teacher: an encoder to learn from, named likewise.
        seed: seed of all random choices.

    Raises:
        ConfigError: `without_datacos` is given for other data.
    """

    config: Config
    config_name: str = "config"
    data: str = "tunes"
    data_root: Path | None = None
    features: Path | None = None
    without_datacos: Path | None = None
    split_seed: int | None = None
    source_pool: int | None = None
    waveforms: bool = False
    init: Path | None = None
    teacher: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for names, lasts in ((_PATHS, os.path.abspath), (_LATER, lasting)):
            for name in names:
                path = getattr(self, name)
                if path is not None:
                    object.__setattr__(self, name, Path(lasts(path)))
        if self.without_datacos and self.data not in ("shs100k", "shs100k2"):
            raise ConfigError("--without-datacos is for --data shs100k and shs100k2")

    @classmethod
    def begun(cls, run_dir: Path, changes: Sequence[str] = ()) -> TrainingRun:
        """Return the request that a run directory holds.

        Args:
            run_dir: the run directory.
            changes: to its settings, as `override` takes them.

        Raises:
            ConfigError: there is none, it is damaged, or a change is impossible, or
                comes too late.
        """
        path = run_dir / REQUEST
        try:
            found = json_object(path.read_bytes(), path, ConfigError)
        except FileNotFoundError:
            raise ConfigError(
                f"{path}: no such file, so there is no run to resume"
            ) from None
        names = [field.name for field in fields(cls)]
        missing = [name for name in names if name not in (*found, *_LATER)]
        if missing or not isinstance(found["config"], dict):
            raise ConfigError(
                f"{path}: damaged ({', '.join(missing) or 'config'} missing)"
            )
        begun = Config.from_dict(found["config"])
        config = override(begun, changes)
        if (run_dir / "checkpoint.keras").exists():
            config.check_continues(begun, run_dir)
        return take(cls, {**found, "config": config})

    def save(self, run_dir: Path) -> None:
        """Write the request into its run directory."""
        request = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in (*_PATHS, *_LATER):
            request[name] = request[name] and str(request[name])
        request["config"] = self.config.to_dict()
        run_dir.mkdir(parents=True, exist_ok=True)
        write_atomically(run_dir / REQUEST, json.dumps(request, indent=1) + "\n")

    def free_dir(self) -> Path:
        """Return a run directory below `runs` whose name is not taken yet."""
        name = "-".join(dict.fromkeys([self.data, self.config_name]))
        path = Path("runs") / name
        number = 1
        while path.exists():
            number += 1
            path = path.with_name(f"{name}-{number}")
        return path

    def tracks(self) -> list[Track]:
        """Return the recordings of the data set."""
        tracks = read_tracks(self.data, self.data_root, self.split_seed)
        if self.without_datacos is None:
            return tracks
        assert self.data_root is not None
        train = [track for track in tracks if track.split == "train"]
        kept = without_overlap(train, self.data_root, self.without_datacos)
        show(f"left out {len(train) - len(kept)} recordings that Da-TACOS has")
        return kept + [track for track in tracks if track.split != "train"]

    def train(
        self,
        run_dir: Path,
        resume: bool = False,
        workers: int | None = None,
        allow_truncated: bool = False,
    ) -> Outcome:
        """Extract the features that are missing, train and measure.

        With several hosts, each calls this with the same request.

        Args:
            run_dir: where the results are written.
            resume: continue from the checkpoint in `run_dir`, if there is one.
            workers: processes that extract features; by default one per core.
            allow_truncated: take what is there of truncated files.

        Raises:
            ConfigError: `run_dir` holds a run and is not to be resumed, another
                process is training there, or the hosts differ.
            ByteCoverError: as of `training.loop.train`.
        """
        if is_pretrained_name(run_dir):
            raise ConfigError(
                f"{run_dir} is the name of an encoder of the package; name another "
                "run directory"
            )
        _check_free(run_dir, resume)
        replicas = join()
        tracks = self.tracks()
        frontend = self.config.frontend
        with replicas.chief_first():
            features = self.features or default_store(
                self.data, self.data_root, frontend, tracks
            )
            usable, store = open_features(
                tracks,
                features,
                frontend,
                workers,
                self.source_pool,
                allow_truncated,
            )
        with _held(run_dir, resume) if replicas.is_chief else nullcontext():
            figures = self._train(run_dir, resume, usable, store, replicas)
        return Outcome(figures, len(tracks) - len(usable))

    def _train(
        self,
        run_dir: Path,
        resume: bool,
        usable: Sequence[Track],
        store: FeatureStore,
        replicas: Replicas,
    ) -> JsonObject:
        """Save the request and train; leave no request that is refused."""
        checkpoint = run_dir / "checkpoint.keras" if resume else None
        replicas.check_same(self._fingerprint(usable, store, checkpoint))
        request = run_dir / REQUEST
        earlier = request.read_bytes() if resume and request.exists() else None
        reached = _time_of(checkpoint)
        if replicas.is_chief:
            self.save(run_dir)
            show(f"run directory: {run_dir}")
        try:
            return train(
                self.config,
                usable,
                store,
                run_dir,
                self.seed,
                resume,
                self.data,
                self.waveforms,
                self.init,
                self.teacher,
                replicas,
            )
        except ByteCoverError:
            if replicas.is_chief:
                if earlier is None:
                    _withdraw(run_dir)
                elif _time_of(checkpoint) == reached:
                    # Settings that were refused are not those of the run.
                    write_atomically(request, earlier)
            raise

    def finish(self, run_dir: Path) -> JsonObject:
        """Train; continue a run that was begun; or read the figures of a finished one.

        Args:
            run_dir: where the results are written.

        Returns:
            What `metrics.json` holds.

        Raises:
            ConfigError: `run_dir` holds another run.
            ByteCoverError: as of `train`.
        """
        figures = run_dir / "metrics.json"
        begun = (run_dir / REQUEST).exists()
        if begun:
            self._check_same(self.begun(run_dir), run_dir)
        if not figures.exists():
            return self.train(run_dir, resume=begun).figures
        return json_object(figures.read_bytes(), figures, ConfigError)

    def _check_same(self, begun: TrainingRun, run_dir: Path) -> None:
        for field in fields(self):
            if getattr(self, field.name) != getattr(begun, field.name):
                raise ConfigError(
                    f"{run_dir}: holds a run with another {field.name}; name another "
                    "--work-dir"
                )

    def _fingerprint(
        self, tracks: Sequence[Track], store: FeatureStore, checkpoint: Path | None
    ) -> JsonObject:
        """Return the facts that all hosts of a training must share, by name.

        Args:
            tracks: recordings with their splits; their paths may differ.
            store: features of all tracks.
            checkpoint: what to continue from, if it is there.
        """
        recordings = sorted(
            (track.id, track.work, track.split, store.entry(track.path).key)
            for track in tracks
        )
        digest = hashlib.sha256(json.dumps(recordings).encode()).hexdigest()
        return {
            "versions": versions("bytecover_tf", "keras", "numpy"),
            "settings": self.config.to_dict(),
            "seed": self.seed,
            "data": f"{len(tracks)} recordings, {digest:.12}",
            "init": self.init and encoder_checksum(self.init),
            "teacher": self.teacher and encoder_checksum(self.teacher),
            "checkpoint": (
                content_hash(checkpoint) if checkpoint and checkpoint.exists() else None
            ),
            "waveforms": self.waveforms,
        }


@dataclass(frozen=True)
class Outcome:
    """The result of a training.

    Attributes:
        figures: what `metrics.json` holds; nothing on a host that is not the chief.
        left_out: recordings that could not be used.
    """

    figures: JsonObject
    left_out: int


def _check_free(run_dir: Path, resume: bool) -> None:
    """Refuse to begin where a run is already."""
    if not resume and (run_dir / REQUEST).exists():
        raise ConfigError(
            f"{run_dir}: holds a run already; continue it with --resume, or name "
            "another --run-dir"
        )


@contextmanager
def _held(run_dir: Path, resume: bool) -> Iterator[None]:
    """Keep other processes from training in a run directory.

    Raises:
        ConfigError: another does, or has begun a run there meanwhile.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    try:
        held = lock_if_possible(run_dir / LOCK)
    except BlockingIOError:
        raise ConfigError(
            f"{run_dir}: another process is training there; name another --run-dir"
        ) from None
    try:
        with held:
            _check_free(run_dir, resume)
            # Of a training that was killed while it wrote them; they may be large.
            for path in run_dir.iterdir():
                if is_unfinished(path.name):
                    path.unlink()
            yield
    finally:
        (run_dir / LOCK).unlink(missing_ok=True)
        if not os.listdir(run_dir):  # nothing was begun
            run_dir.rmdir()


def _time_of(checkpoint: Path | None) -> int | None:
    """Return when a checkpoint was written; None if there is none."""
    if checkpoint is None or not checkpoint.exists():
        return None
    return checkpoint.stat().st_mtime_ns


def _withdraw(run_dir: Path) -> None:
    """Leave no run directory of a request that was refused before it began."""
    if set(os.listdir(run_dir)) <= {REQUEST, LOCK}:
        (run_dir / REQUEST).unlink()
